"""Subnets and the allocation of private addresses in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import ClassVar

from localcloud.rules import references, route_table, tag, vpc
from localcloud.rules.catalog import ZONES
from localcloud.rules.records import Record
from localcloud.rules.refusal import check_bytes, documented, rule
from localcloud.rules.transaction import Transaction

QUOTA = 100
SHORTEST_MASK, LONGEST_MASK = 16, 28
NAME_LIMIT = 60
UNASSIGNED = IPv4Address(0)  # the address in a requested record


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet(Record):
    """A CIDR block of a VPC in one zone."""

    affects_network_plan: ClassVar[bool] = True

    name: str
    vpc_id: str
    cidr: IPv4Network
    zone: str
    route_table_id: str = ""
    broadcast: bool = False

    @property
    def gateway(self) -> IPv4Address:
        """The first address, which belongs to the router of the VPC."""
        return self.cidr[1]

    @property
    def usable(self) -> int:
        """Number of assignable addresses: all except the network, gateway and broadcast addresses."""
        return self.cidr.num_addresses - 3


@dataclass(frozen=True, slots=True)
class Occupied:
    """An address in use, with the type and ID of the resource that uses it."""

    address: IPv4Address
    resource_type: str
    resource_id: str


Occupancy = Callable[[Transaction, str], Iterable[Occupied]]

_OCCUPANCIES: list[Occupancy] = []


def occupies(finder: Occupancy) -> Occupancy:
    """Register a function that lists the addresses that one kind of resource uses in a subnet."""
    _OCCUPANCIES.append(finder)
    return finder


_CREATE_SUBNET = documented("CreateSubnet", page="215/15782")
SubnetNotFound = rule(
    "ResourceNotFound",
    "SubnetId must identify an existing subnet.",
    documented("DeleteSubnet; DescribeSubnets (215/15784): SubnetIds", page="215/15783"),
)
SubnetRange = rule(
    "InvalidParameterValue.SubnetRange", "The mask of a subnet CIDR block must be 16 to 28 bits.", _CREATE_SUBNET
)
SubnetOutsideVpc = rule(
    "InvalidParameterValue.SubnetRange", "A subnet CIDR block must be in a CIDR block of its VPC.", _CREATE_SUBNET
)
SubnetConflict = rule("InvalidParameterValue.SubnetConflict", "Subnets of one VPC must not overlap.", _CREATE_SUBNET)
ZoneUnknown = rule("InvalidParameterValue", "A zone must be in the region of the request.", _CREATE_SUBNET)
SubnetQuota = rule(
    "LimitExceeded",
    "A VPC can have at most 100 subnets.",
    documented("VPC limits: 100 subnets for each VPC", page="215/537"),
)
SubnetInUse = rule(
    "ResourceInUse",
    "A subnet cannot be deleted while an interface, a HAVIP or another resource uses an address in it.",
    documented("DeleteSubnet: all resources in it must be removed first", page="215/15783"),
)
SubnetFull = rule(
    "ResourceInsufficient",
    "A subnet must have a free address for a new resource.",
    documented("CreateHaVip, CreateNetworkInterface (215/15818)", page="215/30652"),
)
RouteTableOfOtherVpc = rule(
    "UnsupportedOperation.VpcMismatch",
    "The route table of a subnet must be in the same VPC as the subnet.",
    documented("ReplaceRouteTableAssociation", page="215/15767"),
)
SubnetOfOtherVpc = rule(
    "UnsupportedOperation.SubnetNotExists",
    "SubnetId must identify a subnet of the VPC in VpcId.",
    documented("CreateHaVip", page="215/30652"),
)
AddressOutsideSubnet = rule(
    "InvalidParameterValue.Range",
    "A private address must be an assignable address of its subnet, not the network, gateway or broadcast address.",
    documented("AssignPrivateIpAddresses, 215/15818: the address is in the subnet and free", page="215/15813"),
)
AddressTaken = rule(
    "ResourceInUse",
    "A private address must not be in use by another resource.",
    documented("CreateHaVip: Vip is not in use (also in 215/15813 and 215/15818)", page="215/30652"),
)


def get(tx: Transaction, subnet_id: str) -> Subnet:
    return tx.get(Subnet, subnet_id, SubnetNotFound)


def get_in_vpc(tx: Transaction, subnet_id: str, vpc_id: str) -> Subnet:
    """Return the subnet of that VPC. Raises: VpcNotFound, SubnetNotFound or SubnetOfOtherVpc."""
    vpc.get(tx, vpc_id)
    found = get(tx, subnet_id)
    if found.vpc_id != vpc_id:
        raise SubnetOfOtherVpc(subnet_id=subnet_id, vpc_id=vpc_id)
    return found


def in_vpc(tx: Transaction, vpc_id: str) -> list[Subnet]:
    """Return the subnets of the VPC, oldest first."""
    return [subnet for subnet in tx.all(Subnet) if subnet.vpc_id == vpc_id]


def create(tx: Transaction, requested: Subnet, tags: tag.Tags) -> Subnet:
    """Create a subnet. It uses the main route table of the VPC."""
    owner = vpc.get(tx, requested.vpc_id)
    check_bytes("SubnetName", requested.name, NAME_LIMIT)
    if requested.zone not in ZONES[tx.region]:
        raise ZoneUnknown(got=requested.zone, region=tx.region)
    _check_cidr(tx, owner, requested.cidr)
    if len(in_vpc(tx, owner.id)) >= QUOTA:
        raise SubnetQuota(vpc_id=owner.id)
    return tag.create(tx, "subnet", replace(requested, route_table_id=route_table.main_of(tx, owner.id).id), tags)


def _check_cidr(tx: Transaction, owner: vpc.Vpc, cidr: IPv4Network) -> None:
    if not SHORTEST_MASK <= cidr.prefixlen <= LONGEST_MASK:
        raise SubnetRange(got=cidr)
    if not any(cidr.subnet_of(outer) for outer in owner.cidrs):
        raise SubnetOutsideVpc(cidr=cidr, vpc_cidr=", ".join(str(outer) for outer in owner.cidrs))
    for other in in_vpc(tx, owner.id):
        if cidr.overlaps(other.cidr):
            raise SubnetConflict(cidr=cidr, other=other.cidr, subnet_id=other.id)


def change(tx: Transaction, changed: Subnet) -> None:
    check_bytes("SubnetName", changed.name, NAME_LIMIT)
    tx.put(changed)


def delete(tx: Transaction, subnet_id: str) -> None:
    """Delete a subnet without addresses in use. Raises: SubnetInUse."""
    subnet = get(tx, subnet_id)
    for taken in occupied(tx, subnet_id):
        raise SubnetInUse(subnet_id=subnet_id, user=taken.resource_id)
    for user in references.users(tx, subnet):
        raise SubnetInUse(subnet_id=subnet_id, user=user)
    tag.delete(tx, subnet)


def occupied(tx: Transaction, subnet_id: str) -> list[Occupied]:
    return [taken for finder in _OCCUPANCIES for taken in finder(tx, subnet_id)]


def available(tx: Transaction, subnet: Subnet) -> int:
    """Return the number of free assignable addresses."""
    return subnet.usable - len(occupied(tx, subnet.id))


def check_free(tx: Transaction, subnet: Subnet, address: IPv4Address) -> None:
    """Raises: AddressOutsideSubnet or AddressTaken."""
    edges = {subnet.cidr.network_address, subnet.gateway, subnet.cidr.broadcast_address}
    if address not in subnet.cidr or address in edges:
        raise AddressOutsideSubnet(address=address, cidr=subnet.cidr)
    for taken in occupied(tx, subnet.id):
        if taken.address == address:
            raise AddressTaken(address=address, user=taken.resource_id)


def free_address(tx: Transaction, subnet: Subnet) -> IPv4Address:
    """Return the lowest free address. Raises: SubnetFull."""
    taken = {entry.address for entry in occupied(tx, subnet.id)}
    for address in subnet.cidr.hosts():
        if address != subnet.gateway and address not in taken:
            return address
    raise SubnetFull(subnet_id=subnet.id)


def associate_route_table(tx: Transaction, subnet_id: str, table_id: str) -> None:
    """Associate the subnet with another route table of its VPC."""
    subnet = get(tx, subnet_id)
    table = route_table.get(tx, table_id)
    if table.vpc_id != subnet.vpc_id:
        raise RouteTableOfOtherVpc(table_id=table_id, vpc_id=subnet.vpc_id)
    tx.put(replace(subnet, route_table_id=table_id))


@references.uses(vpc.Vpc)
def _subnets(tx: Transaction, vpc_id: str) -> list[str]:
    return [subnet.id for subnet in in_vpc(tx, vpc_id)]


@references.uses(route_table.RouteTable)
def _associated(tx: Transaction, table_id: str) -> list[str]:
    return [subnet.id for subnet in tx.all(Subnet) if subnet.route_table_id == table_id]
