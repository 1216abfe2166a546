"""NAT gateways. All traffic of a gateway leaves from its first EIP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import ClassVar

from localcloud.rules import address_binding, nat_addresses, references, subnet, tag, vpc
from localcloud.rules.catalog import ZONES
from localcloud.rules.jobs import after, step
from localcloud.rules.records import Record
from localcloud.rules.refusal import InvalidParameterValue, check_bytes, documented, rule
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 60
TRADITIONAL, STANDARD = 1, 2  # NatProductVersion; the standard type has a fixed size
STANDARD_MBPS, STANDARD_CONNECTIONS = 5000, 2_000_000
MAX_PER_VPC = 3
CONNECTIONS = (1_000_000, 3_000_000, 10_000_000)
BANDWIDTHS = (20, 50, 100, 200, 500, 1000, 2000, 5000)


@dataclass(frozen=True, slots=True, kw_only=True)
class NatGateway(Record):
    """A gateway to the internet for instances without public addresses."""

    affects_network_plan: ClassVar[bool] = True

    name: str
    vpc_id: str
    zone: str
    subnet_id: str
    bandwidth_mbps: int
    connections: int
    product_version: int
    state: str = "PENDING"  # AVAILABLE, UPDATING, DELETING, FAILED


NatGatewayNotFound = rule(
    "ResourceNotFound",
    "NatGatewayId must identify an existing NAT gateway.",
    documented("DeleteNatGateway", page="215/36719"),
)
NatGatewayQuota = rule(
    "LimitExceeded.NatGatewayPerVpcLimitExceeded",
    "A VPC can have at most 3 NAT gateways.",
    documented("NAT gateway limits: 3 for each VPC (code of 215/36721)", page="intl:1015/30230"),
)
GatewayZoneUnknown = rule(
    "UnsupportedOperation.NotSupportZone",
    "The zone of a NAT gateway must be in the region of the request.",
    documented("CreateNatGateway: Zone", page="215/36721"),
)
NatGatewayNeedsAddress = rule(
    "InvalidParameterValue.Empty",
    "A NAT gateway must be created with at least one existing or new EIP.",
    documented("CreateNatGateway: at least one of AddressCount and PublicIpAddresses", page="215/36721"),
)
NatGatewayBusy = rule(
    "UnsupportedOperation.InvalidState",
    "A NAT gateway cannot be changed while it is being created or changed.",
    documented("CreateNatGateway: AVAILABLE before any other action", page="215/36721"),
)


def get(tx: Transaction, gateway_id: str) -> NatGateway:
    return tx.get(NatGateway, gateway_id, NatGatewayNotFound)


def create(
    tx: Transaction, requested: NatGateway, ips: tuple[str, ...], new_addresses: int, tags: tag.Tags
) -> NatGateway:
    """Create a NAT gateway in state PENDING with existing or new EIPs."""
    vpc.get(tx, requested.vpc_id)
    if requested.zone not in ZONES[tx.region]:
        raise GatewayZoneUnknown(got=requested.zone, region=tx.region)
    if requested.product_version == STANDARD:
        requested = replace(requested, bandwidth_mbps=STANDARD_MBPS, connections=STANDARD_CONNECTIONS)
    _check(requested)
    if not ips and new_addresses < 1:
        raise NatGatewayNeedsAddress
    if sum(gateway.vpc_id == requested.vpc_id for gateway in tx.all(NatGateway)) >= MAX_PER_VPC:
        raise NatGatewayQuota(vpc_id=requested.vpc_id)
    made = tag.create(tx, "nat", requested, tags)
    nat_addresses.take(tx, made.id, ips, new_addresses)
    after(tx, tx.timing.nat_gateway_s, "nat.settled", made.id)
    return made


def _check(gateway: NatGateway) -> None:
    check_bytes("NatGatewayName", gateway.name, NAME_LIMIT)
    fixed = gateway.product_version == STANDARD
    for name, value, allowed in (
        ("NatProductVersion", gateway.product_version, (TRADITIONAL, STANDARD)),
        ("InternetMaxBandwidthOut", gateway.bandwidth_mbps, (STANDARD_MBPS,) if fixed else BANDWIDTHS),
        ("MaxConcurrentConnection", gateway.connections, (STANDARD_CONNECTIONS,) if fixed else CONNECTIONS),
    ):
        if value not in allowed:
            raise InvalidParameterValue(name=name, value=value, expected=f"one of {allowed}")


@step("nat.settled")
def _settled(tx: Transaction, gateway_id: str) -> None:
    found = tx.find(NatGateway, gateway_id)
    if found is None:
        return
    if found.state != "DELETING":
        tx.put(replace(found, state="AVAILABLE"))
        return
    for address in nat_addresses.of_gateway(tx, gateway_id):
        address_binding.unbind_from_gateway(tx, address)
    tag.delete(tx, found)


def get_ready(tx: Transaction, gateway_id: str) -> NatGateway:
    """Return the gateway in state AVAILABLE. Raises: NatGatewayNotFound or NatGatewayBusy."""
    found = get(tx, gateway_id)
    if found.state != "AVAILABLE":
        raise NatGatewayBusy(got=found.state, gateway_id=gateway_id)
    return found


def change(tx: Transaction, changed: NatGateway) -> None:
    """ModifyNatGatewayAttribute (215/36715), ResetNatGatewayConnection."""
    if not changed.name:
        raise InvalidParameterValue(name="NatGatewayName", value="", expected="a name of 1 to 60 characters")
    _check(changed)
    tx.put(changed)


def add_addresses(tx: Transaction, gateway_id: str, ips: tuple[str, ...], new_addresses: int) -> None:
    """AssociateNatGatewayAddress."""
    get_ready(tx, gateway_id)
    nat_addresses.take(tx, gateway_id, ips, new_addresses)


def remove_addresses(tx: Transaction, gateway_id: str, ips: tuple[str, ...]) -> None:
    """DisassociateNatGatewayAddress."""
    get_ready(tx, gateway_id)
    nat_addresses.release(tx, gateway_id, set(ips))


def delete(tx: Transaction, gateway_id: str) -> None:
    """Start the deletion of a gateway: delete its routes immediately, and release its EIPs at the end."""
    found = get_ready(tx, gateway_id)
    references.release(tx, found)
    tx.put(replace(found, state="DELETING"))
    after(tx, tx.timing.nat_gateway_s, "nat.settled", gateway_id)


def public_address(tx: Transaction, gateway_id: str) -> IPv4Address | None:
    """Return the public source address: the first EIP of the gateway, if it is ready."""
    gateway = tx.find(NatGateway, gateway_id)
    if gateway is None or gateway.state != "AVAILABLE":
        return None
    own = nat_addresses.of_gateway(tx, gateway_id)
    return own[0].ip if own else None


@references.uses(vpc.Vpc)
def _in_vpc(tx: Transaction, vpc_id: str) -> list[str]:
    return [gateway.id for gateway in tx.all(NatGateway) if gateway.vpc_id == vpc_id]


@references.uses(subnet.Subnet)
def _in_subnet(tx: Transaction, subnet_id: str) -> list[str]:
    return [gateway.id for gateway in tx.all(NatGateway) if gateway.subnet_id == subnet_id]
