"""NAT gateways. Their SNAT rules are changed in snat.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import ClassVar

from localcloud.rules import address, address_binding, references, subnet, tag, vpc
from localcloud.rules.jobs import after, step
from localcloud.rules.records import Record
from localcloud.rules.refusal import InvalidParameterValue, ParameterTooLong, Refusal, documented
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 60
STANDARD = 2  # NatProductVersion of the standard type, whose size is fixed
PER_VPC = 3
ADDRESSES = 10
CONNECTIONS = (1_000_000, 3_000_000, 10_000_000)
BANDWIDTHS = (20, 50, 100, 200, 500, 1000, 2000, 5000)
_ERRORS = documented("the SDK's errorcodes.py")


@dataclass(frozen=True, slots=True)
class SnatRule:
    """Which public addresses a subnet or an interface leaves by."""

    rule_id: str
    resource_type: str  # SUBNET, NETWORKINTERFACE
    resource_id: str
    private_address: str
    public_addresses: tuple[str, ...]
    description: str
    created: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NatGateway(Record):
    """A way out for machines without public addresses."""

    shapes_network: ClassVar[bool] = True

    name: str
    vpc_id: str
    zone: str
    subnet_id: str
    bandwidth_mbps: int
    connections: int
    product_version: int
    state: str = "PENDING"  # AVAILABLE, UPDATING, DELETING, FAILED
    rules: tuple[SnatRule, ...] = ()


class NatGatewayNotFound(Refusal):
    """A NAT gateway that a request names must exist."""

    code = "ResourceNotFound"
    template = "The NAT gateway `{gateway_id}` does not exist."
    source = documented("the page of DeleteNatGateway: ResourceNotFound")


class NatGatewayQuota(Refusal):
    """A VPC holds at most 3 NAT gateways."""

    code = "LimitExceeded.NatGatewayPerVpcLimitExceeded"
    template = "The number of NAT gateways in VPC `{vpc_id}` has reached the limit {limit}."
    source = documented("the quota is named on the page of DescribeVpcLimits; its figure is assumed; errorcodes.py")


class TooManyGatewayAddresses(Refusal):
    """A NAT gateway has 1 to 10 EIPs."""

    code = "LimitExceeded.PublicIpAddressPerNatGatewayLimitExceeded"
    template = "A NAT gateway takes at most {limit} public addresses."
    source = documented("the quota is named on the page of DescribeVpcLimits; its figure is assumed; errorcodes.py")


class LastAddressStays(Refusal):
    """A NAT gateway keeps at least one EIP."""

    code = "UnsupportedOperation.PublicIpAddressDisassociate"
    template = "The NAT gateway `{gateway_id}` must keep at least one public address."
    source = _ERRORS


class GatewayAddressNotFound(Refusal):
    """An EIP for a NAT gateway must exist."""

    code = "UnsupportedOperation.PublicIpAddressIsNotExisted"
    template = "The public address `{ip}` does not exist."
    source = _ERRORS


class AddressNotOnGateway(Refusal):
    """An EIP that a NAT gateway lets go, or that a rule names, is one of its own."""

    code = "UnsupportedOperation.NatGatewayEipNotExists"
    template = "The public address `{ip}` is not bound to NAT gateway `{gateway_id}`."
    source = _ERRORS


class NatGatewayNeedsAddress(Refusal):
    """A NAT gateway is born with an EIP, an existing one or a new one."""

    code = "InvalidParameterValue.MustHasOne"
    template = "Give PublicIpAddresses, or an AddressCount of at least 1."
    source = documented("the page of CreateNatGateway; code in errorcodes.py")


class NatGatewayBusy(Refusal):
    """A NAT gateway that is being made or changed takes no other change."""

    code = "UnsupportedOperation.InvalidState"
    template = "The NAT gateway `{gateway_id}` is in state {state}."
    source = _ERRORS


class SnatRuleExists(Refusal):
    """A subnet or interface has one SNAT rule on a gateway."""

    code = "InvalidParameterValue.NatSnatRuleExists"
    template = "The NAT gateway `{gateway_id}` already has a SNAT rule for `{resource_id}`."
    source = _ERRORS


class SnatRuleNotFound(Refusal):
    """A SNAT rule that a request names must exist."""

    code = "InvalidParameterValue.NatGatewaySnatRuleNotExists"
    template = "The SNAT rule `{rule_id}` does not exist on NAT gateway `{gateway_id}`."
    source = _ERRORS


class SnatOfOtherVpc(Refusal):
    """A SNAT rule is for a subnet or an interface of the gateway's VPC."""

    code = "UnsupportedOperation.VpcMismatch"
    template = "`{resource_id}` is not in VPC `{vpc_id}` of NAT gateway `{gateway_id}`."
    source = _ERRORS


def get(tx: Transaction, gateway_id: str) -> NatGateway:
    """The gateway. Raises NatGatewayNotFound."""
    found = tx.find(NatGateway, gateway_id)
    if found is None:
        raise NatGatewayNotFound(gateway_id=gateway_id)
    return found


def addresses(tx: Transaction, gateway_id: str) -> list[address.Address]:
    """Its EIPs, oldest binding first."""
    return address.of_target(tx, gateway_id)


def _take(tx: Transaction, gateway_id: str, ips: tuple[str, ...]) -> None:
    if len(addresses(tx, gateway_id)) + len(ips) > ADDRESSES:
        raise TooManyGatewayAddresses(limit=ADDRESSES)
    for ip in ips:
        try:
            found = address.by_ip(tx, ip)
        except address.PublicAddressNotFound:
            raise GatewayAddressNotFound(ip=ip) from None
        address_binding.bind_to_gateway(tx, found, gateway_id)


def create(
    tx: Transaction,
    *,
    name: str,
    vpc_id: str,
    zone: str,
    subnet_id: str,
    bandwidth_mbps: int,
    connections: int,
    product_version: int,
    ips: tuple[str, ...],
    new_addresses: int,
    tags: tag.Tags,
) -> NatGateway:
    """A new gateway, PENDING, with existing EIPs or new ones."""
    if len(name) > NAME_LIMIT:
        raise ParameterTooLong(name="NatGatewayName", limit=NAME_LIMIT)
    vpc.get(tx, vpc_id)
    if product_version == STANDARD:
        bandwidth_mbps, connections = 5000, 2_000_000
    else:
        _check_size(bandwidth_mbps, connections)
    if not ips and new_addresses < 1:
        raise NatGatewayNeedsAddress
    if sum(one.vpc_id == vpc_id for one in tx.all(NatGateway)) >= PER_VPC:
        raise NatGatewayQuota(vpc_id=vpc_id, limit=PER_VPC)
    made = tx.put(
        NatGateway(
            id=tx.new_id("nat"),
            region=tx.region,
            created=tx.now,
            name=name,
            vpc_id=vpc_id,
            zone=zone,
            subnet_id=subnet_id,
            bandwidth_mbps=bandwidth_mbps,
            connections=connections,
            product_version=product_version,
        )
    )
    tag.attach(tx, made.id, tags)
    _take(tx, made.id, (*ips, *_allocate(tx, new_addresses)))
    after(tx, tx.timing.nat_gateway_s, "nat.settled", made.id)
    return made


def _allocate(tx: Transaction, count: int) -> list[str]:
    if count > ADDRESSES:
        raise TooManyGatewayAddresses(limit=ADDRESSES)
    if count == 0:
        return []
    made, _ = address.allocate(
        tx,
        count,
        name="",
        kind="EIP",
        charge_type="TRAFFIC_POSTPAID_BY_HOUR",
        bandwidth_mbps=100,
        isp="BGP",
        egress="center_egress1",
        tags={},
    )
    for one in made:
        tx.put(replace(one, status="UNBIND"))
    return [str(one.ip) for one in made]


def _check_size(bandwidth_mbps: int, connections: int) -> None:
    if bandwidth_mbps not in BANDWIDTHS:
        raise InvalidParameterValue(name="InternetMaxBandwidthOut", value=bandwidth_mbps, wanted=f"one of {BANDWIDTHS}")
    if connections not in CONNECTIONS:
        raise InvalidParameterValue(name="MaxConcurrentConnection", value=connections, wanted=f"one of {CONNECTIONS}")


@step("nat.settled")
def _settled(tx: Transaction, gateway_id: str) -> None:
    found = tx.find(NatGateway, gateway_id)
    if found is None:
        return
    if found.state != "DELETING":
        tx.put(replace(found, state="AVAILABLE"))
        return
    for one in addresses(tx, gateway_id):
        address_binding.unbind_from_gateway(tx, one)
    tag.detach_all(tx, gateway_id)
    tx.delete(found)


def get_ready(tx: Transaction, gateway_id: str) -> NatGateway:
    """The gateway, if it takes changes now. Raises NatGatewayNotFound or NatGatewayBusy."""
    found = get(tx, gateway_id)
    if found.state != "AVAILABLE":
        raise NatGatewayBusy(gateway_id=gateway_id, state=found.state)
    return found


def modify(
    tx: Transaction, gateway_id: str, *, name: str | None, bandwidth_mbps: int | None, connections: int | None
) -> None:
    """Change what is given."""
    found = get_ready(tx, gateway_id)
    if name is not None and len(name) > NAME_LIMIT:
        raise ParameterTooLong(name="NatGatewayName", limit=NAME_LIMIT)
    changed = replace(
        found,
        name=found.name if name is None else name,
        bandwidth_mbps=found.bandwidth_mbps if bandwidth_mbps is None else bandwidth_mbps,
        connections=found.connections if connections is None else connections,
    )
    if found.product_version != STANDARD:
        _check_size(changed.bandwidth_mbps, changed.connections)
    tx.put(changed)


def add_addresses(tx: Transaction, gateway_id: str, ips: tuple[str, ...], new_addresses: int) -> None:
    """AssociateNatGatewayAddress."""
    get_ready(tx, gateway_id)
    _take(tx, gateway_id, (*ips, *_allocate(tx, new_addresses)))


def remove_addresses(tx: Transaction, gateway_id: str, ips: tuple[str, ...]) -> None:
    """DisassociateNatGatewayAddress."""
    get_ready(tx, gateway_id)
    own = {str(one.ip): one for one in addresses(tx, gateway_id)}
    for ip in ips:
        if ip not in own:
            raise AddressNotOnGateway(ip=ip, gateway_id=gateway_id)
    if len(set(ips)) >= len(own):
        raise LastAddressStays(gateway_id=gateway_id)
    for ip in set(ips):
        address_binding.unbind_from_gateway(tx, own[ip])


def delete(tx: Transaction, gateway_id: str) -> None:
    """Begin to remove a gateway: routes that lead to it go at once, its EIPs become free at the end."""
    found = get_ready(tx, gateway_id)
    references.release(tx, found)
    tx.put(replace(found, state="DELETING"))
    after(tx, tx.timing.nat_gateway_s, "nat.settled", gateway_id)


def public_address_for(tx: Transaction, gateway_id: str, subnet_id: str) -> IPv4Address | None:
    """What a subnet's machines look like outside: as its SNAT rule says, else as the gateway's first EIP."""
    gateway = tx.find(NatGateway, gateway_id)
    if gateway is None or gateway.state != "AVAILABLE":
        return None
    for rule in gateway.rules:
        if rule.resource_id == subnet_id and rule.public_addresses:
            return IPv4Address(rule.public_addresses[0])
    own = addresses(tx, gateway_id)
    return own[0].ip if own else None


@references.uses(vpc.Vpc)
def _in_vpc(tx: Transaction, vpc_id: str) -> list[str]:
    return [one.id for one in tx.all(NatGateway) if one.vpc_id == vpc_id]


@references.uses(subnet.Subnet)
def _in_subnet(tx: Transaction, subnet_id: str) -> list[str]:
    return [one.id for one in tx.all(NatGateway) if one.subnet_id == subnet_id]
