"""Virtual private clouds."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import ClassVar

from localcloud.rules import references, route_table, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import check_bytes, documented, rule
from localcloud.rules.transaction import Transaction

DNS_SERVERS = ("183.60.83.19", "183.60.82.98")
QUOTA = 20
NAME_LIMIT = 60
DNS_LIMIT = 4
SHORTEST_MASK, LONGEST_MASK = 12, 28

_PRIVATE_RANGES = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpc(Record):
    """A private network with a primary CIDR block and optional assistant CIDR blocks."""

    affects_network_plan: ClassVar[bool] = True

    name: str
    cidr: IPv4Network
    assistant_cidrs: tuple[IPv4Network, ...] = ()
    multicast: bool = False
    dns_servers: tuple[str, ...] = DNS_SERVERS
    domain_name: str = ""

    @property
    def cidrs(self) -> tuple[IPv4Network, ...]:
        """All CIDR blocks in which subnets can be created."""
        return (self.cidr, *self.assistant_cidrs)


_VPC_LIMITS = documented("VPC limits", page="215/537")
VpcNotFound = rule(
    "ResourceNotFound",
    "VpcId must identify an existing VPC.",
    documented("DeleteVpc; DescribeVpcs (215/15778): VpcIds", page="215/15775"),
)
VpcCidrNotPrivate = rule(
    "InvalidParameterValue.Malformed",
    "A VPC CIDR block must be in 10.0.0.0/8 or 172.16.0.0/12 with a mask of 12 to 28 bits, or in 192.168.0.0/16 with a "
    "mask of 16 to 28 bits.",
    documented(
        "VPC CIDR blocks: 10.0.0.0-10.255.255.255 and 172.16.0.0-172.31.255.255 with masks of 12 to 28, "
        "192.168.0.0-192.168.255.255 with 16 to 28 (CreateVpc, 215/15774, writes 10.0.0.0/12)",
        page="215/36515",
    ),
)
VpcQuota = rule("LimitExceeded", "A region can have at most 20 VPCs.", _VPC_LIMITS)
VpcInUse = rule(
    "ResourceInUse",
    "A VPC cannot be deleted while it has a subnet, a NAT gateway or a custom route table.",
    documented("DeleteVpc: all resources in the VPC must be deleted first", page="215/15775"),
)
TooManyDnsServers = rule(
    "InvalidParameterValue.LimitExceeded",
    "A VPC can have at most 4 DNS servers.",
    documented("CreateVpc: DnsServers, at most 4", page="215/15774"),
)


def get(tx: Transaction, vpc_id: str) -> Vpc:
    return tx.get(Vpc, vpc_id, VpcNotFound)


def check_cidr(cidr: IPv4Network) -> None:
    """Raises: VpcCidrNotPrivate."""
    for allowed in _PRIVATE_RANGES:
        if cidr.subnet_of(allowed) and max(SHORTEST_MASK, allowed.prefixlen) <= cidr.prefixlen <= LONGEST_MASK:
            return
    raise VpcCidrNotPrivate(got=cidr)


def _check(vpc: Vpc) -> None:
    check_bytes("VpcName", vpc.name, NAME_LIMIT)
    if len(vpc.dns_servers) > DNS_LIMIT:
        raise TooManyDnsServers(got=len(vpc.dns_servers))


def create(tx: Transaction, requested: Vpc, tags: tag.Tags) -> Vpc:
    """Create a VPC with its main route table."""
    _check(requested)
    check_cidr(requested.cidr)
    if len(tx.all(Vpc)) >= QUOTA:
        raise VpcQuota(region=tx.region)
    vpc = tag.create(tx, "vpc", requested, tags)
    route_table.create(tx, route_table.RouteTable(vpc_id=vpc.id, name="default", main=True), {})
    return vpc


def change(tx: Transaction, changed: Vpc) -> None:
    _check(changed)
    tx.put(changed)


def delete(tx: Transaction, vpc_id: str) -> None:
    """Delete a VPC and its main route table. Raises: VpcInUse."""
    vpc = get(tx, vpc_id)
    for user in references.users(tx, vpc):
        raise VpcInUse(vpc_id=vpc_id, user=user)
    tag.delete(tx, route_table.main_of(tx, vpc_id))
    tag.delete(tx, vpc)


@references.uses(Vpc)
def _route_tables(tx: Transaction, vpc_id: str) -> list[str]:
    return [table.id for table in route_table.of_vpc(tx, vpc_id) if not table.main]
