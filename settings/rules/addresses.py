"""Rules about networks and addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from settings.access import AccessSettings
from settings.network import NetworkSettings
from settings.nginx import NginxSettings
from settings.nodes import ELIGIBLE_NODES, NodesSettings
from settings.problems import Problem
from settings.virtual_ip import VirtualIpSettings

# Document 215/20046.
_PRIVATE = (IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16"))
_VPC_PREFIX = (12, 28)
# Document 215/15782.
_SUBNET_PREFIX = (16, 28)
# Without a bandwidth package (document 215/16699).
_MAX_MBPS = 100
# Wider networks, down to two /1, would open SSH to a large part of the internet.
_MIN_ADMIN_PREFIX = 8
# In each direction of a security group (document 215/537).
_MAX_RULES = 100
_WEB_RULES = 2


def check_vpc_range(network: NetworkSettings) -> Iterator[Problem]:
    cidr = network.vpc_cidr
    if not any(cidr.subnet_of(block) for block in _PRIVATE):
        yield Problem(
            "tandem:network.vpcCidr", f"must be inside 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 (got {cidr})"
        )
    if not _VPC_PREFIX[0] <= cidr.prefixlen <= _VPC_PREFIX[1]:
        yield Problem("tandem:network.vpcCidr", f"must have a prefix length from /12 to /28 (got {cidr})")


def check_subnet_range(network: NetworkSettings) -> Iterator[Problem]:
    cidr = network.subnet_cidr
    if not cidr.subnet_of(network.vpc_cidr):
        yield Problem("tandem:network.subnetCidr", f"must be inside the VPC's {network.vpc_cidr} (got {cidr})")
    if not _SUBNET_PREFIX[0] <= cidr.prefixlen <= _SUBNET_PREFIX[1]:
        yield Problem("tandem:network.subnetCidr", f"must have a prefix length from /16 to /28 (got {cidr})")


def check_zone_is_in_region(network: NetworkSettings, region: str) -> Iterator[Problem]:
    if network.zone.rpartition("-")[0] != region:
        yield Problem("tandem:network.zone", f"must be a zone of tencentcloud:region {region} (got {network.zone})")


def check_existing_network_has_cidrs(network: NetworkSettings) -> Iterator[Problem]:
    if network.existing is None:
        return
    for field, key in (("vpc_cidr", "vpcCidr"), ("subnet_cidr", "subnetCidr")):
        if field not in network.model_fields_set:
            yield Problem(f"tandem:network.{key}", "is required with network.existing: CIDR block of the network")


def check_existing_network_has_own_egress(network: NetworkSettings) -> Iterator[Problem]:
    if network.existing is not None and network.egress == "nat":
        yield Problem(
            "tandem:network.egress",
            "must be none with network.existing, because this stack cannot add routes to an existing network (got nat)",
        )


def check_addresses(
    network: NetworkSettings, nodes: NodesSettings, virtual_ip: VirtualIpSettings, access: AccessSettings
) -> Iterator[Problem]:
    addresses = [(f"tandem:nodes.members[{i}].address", node.address) for i, node in enumerate(nodes.members)]
    addresses += [("tandem:virtualIp.address", virtual_ip.address)]
    if virtual_ip.second_address is not None:
        addresses += [("tandem:virtualIp.secondAddress", virtual_ip.second_address)]
    addresses += [
        (f"tandem:virtualIp.additional[{i}].address", each.address) for i, each in enumerate(virtual_ip.additional)
    ]
    if access.mode == "bastion":
        addresses += [("tandem:access.bastion.address", access.bastion.address)]
    uses = Counter(address for _, address in addresses)
    reserved = _reserved(network.subnet_cidr)
    for key, address in addresses:
        if address not in network.subnet_cidr:
            yield Problem(key, f"must be inside the subnet {network.subnet_cidr} (got {address})")
        elif address in reserved:
            names = ", ".join(str(each) for each in reserved)
            yield Problem(key, f"cannot be {address}: the cloud reserves {names} in {network.subnet_cidr}")
        elif uses[address] > 1:
            others = ", ".join(other for other, same in addresses if same == address and other != key)
            yield Problem(key, f"must be unique (got {address}, also used by {others})")


def _reserved(subnet: IPv4Network) -> tuple[IPv4Address, ...]:
    """Return the network address, the gateway and the broadcast address."""
    return (subnet.network_address, subnet.network_address + 1, subnet.broadcast_address)


def check_bandwidth_package(virtual_ip: VirtualIpSettings) -> Iterator[Problem]:
    in_package = virtual_ip.charge_type == "BANDWIDTH_PACKAGE"
    if in_package and virtual_ip.bandwidth_package_id is None:
        yield Problem("tandem:virtualIp.bandwidthPackageId", "is required with chargeType BANDWIDTH_PACKAGE")
    if not in_package and virtual_ip.bandwidth_package_id is not None:
        yield Problem(
            "tandem:virtualIp.bandwidthPackageId",
            f"cannot be set with chargeType {virtual_ip.charge_type} (got {virtual_ip.bandwidth_package_id})",
        )


def check_bandwidth_limit(virtual_ip: VirtualIpSettings) -> Iterator[Problem]:
    if virtual_ip.charge_type != "BANDWIDTH_PACKAGE" and virtual_ip.bandwidth_mbps > _MAX_MBPS:
        yield Problem(
            "tandem:virtualIp.bandwidthMbps",
            f"must be at most {_MAX_MBPS} with chargeType {virtual_ip.charge_type} (got {virtual_ip.bandwidth_mbps}); "
            "a higher limit requires a bandwidth package",
        )


def check_node_names_are_unique(nodes: NodesSettings) -> Iterator[Problem]:
    uses = Counter(node.name for node in nodes.members)
    for index, node in enumerate(nodes.members):
        if uses[node.name] > 1:
            yield Problem(
                f"tandem:nodes.members[{index}].name",
                f"must be unique (got {node.name}, the name of {uses[node.name]} nodes)",
            )


def check_no_node_has_a_reserved_name(nodes: NodesSettings, access: AccessSettings) -> Iterator[Problem]:
    for index, node in enumerate(nodes.members):
        if node.name == "localhost":
            yield Problem(
                f"tandem:nodes.members[{index}].name", "cannot be localhost, the name of each node for itself"
            )
        if access.mode == "bastion" and node.name == "bastion":
            yield Problem(f"tandem:nodes.members[{index}].name", "cannot be bastion with access.mode bastion")


def check_admin_cidrs(access: AccessSettings) -> Iterator[Problem]:
    for index, cidr in enumerate(access.admin_cidrs):
        if cidr.prefixlen < _MIN_ADMIN_PREFIX:
            yield Problem(
                f"tandem:access.adminCidrs[{index}]",
                f"must not be wider than /{_MIN_ADMIN_PREFIX} (got {cidr}); list the networks of your administrators",
            )
        if cidr in access.admin_cidrs[:index]:
            yield Problem(f"tandem:access.adminCidrs[{index}]", f"must be unique (got {cidr} twice)")


def count_rules(nodes: NodesSettings, access: AccessSettings, nginx: NginxSettings) -> dict[str, int]:
    """The number of incoming rules of each security group (components/firewall.py), by its name there."""
    ssh = 1 if access.mode == "bastion" else len(access.admin_cidrs)
    members = len(nodes.members)
    sizes = {"eligible": _WEB_RULES + ssh + members + _stream_rules(nginx)}
    if members > ELIGIBLE_NODES:
        sizes["application"] = ssh + members + ELIGIBLE_NODES * len(nginx.udp_ports())
    if access.mode == "bastion":
        sizes["bastion"] = len(access.admin_cidrs)
    return sizes


def _stream_rules(nginx: NginxSettings) -> int:
    return sum(len(stream.allow) or 1 for stream in nginx.streams)


def check_security_groups_have_room(
    nodes: NodesSettings, access: AccessSettings, nginx: NginxSettings
) -> Iterator[Problem]:
    for group, count in count_rules(nodes, access, nginx).items():
        if count <= _MAX_RULES:
            continue
        limit = f"the security group of the {group} nodes can have {_MAX_RULES} rules and would have {count}"
        if group == "eligible" and (streams := _stream_rules(nginx)):
            yield Problem(
                "tandem:nginx.streams",
                f"must need at most {_MAX_RULES - count + streams} rules, one for each stream and network in its allow "
                f"(got {streams}): {limit}; combine networks in allow",
            )
        elif group == "application" and nginx.udp_ports():
            yield Problem("tandem:nginx.upstreams", f"must have fewer ports of servers that receive UDP: {limit}")
        else:
            bastion = limit.replace("the bastion nodes", "the bastion")
            yield Problem("tandem:access.adminCidrs", f"must contain fewer networks: {bastion}; combine them")


RULES = (
    check_existing_network_has_cidrs,
    check_no_node_has_a_reserved_name,
    check_vpc_range,
    check_subnet_range,
    check_zone_is_in_region,
    check_existing_network_has_own_egress,
    check_addresses,
    check_bandwidth_package,
    check_bandwidth_limit,
    check_node_names_are_unique,
    check_admin_cidrs,
    check_security_groups_have_room,
)
