"""Rules about networks and addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from settings.access import AccessSettings
from settings.network import NetworkSettings
from settings.nodes import NodesSettings
from settings.problems import Problem
from settings.virtual_ip import VirtualIpSettings

# A VPC's addresses come from these (documented: cloud.tencent.com/document/product/215/20046).
_PRIVATE = (IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16"))
_VPC_PREFIX = (12, 28)
# Document 215/15782.
_SUBNET_PREFIX = (16, 28)
# Document 215/16699: of an address that pays by itself.
_MOST_MBPS = 100
# The widest network that one organisation comes from; /0 is everyone, and two /1 are so too.
_WIDEST_ADMIN_PREFIX = 8


def a_vpc_is_private_and_of_a_size_that_the_cloud_makes(network: NetworkSettings) -> Iterator[Problem]:
    cidr = network.vpc_cidr
    if not any(cidr.subnet_of(block) for block in _PRIVATE):
        yield Problem("tandem:network.vpcCidr", f"{cidr} lies outside 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16")
    if not _VPC_PREFIX[0] <= cidr.prefixlen <= _VPC_PREFIX[1]:
        yield Problem("tandem:network.vpcCidr", f"{cidr} is not between /12 and /28, which a VPC can be")


def a_subnet_lies_in_its_vpc(network: NetworkSettings) -> Iterator[Problem]:
    cidr = network.subnet_cidr
    if not cidr.subnet_of(network.vpc_cidr):
        yield Problem("tandem:network.subnetCidr", f"{cidr} lies outside the VPC's {network.vpc_cidr}")
    if not _SUBNET_PREFIX[0] <= cidr.prefixlen <= _SUBNET_PREFIX[1]:
        yield Problem("tandem:network.subnetCidr", f"{cidr} is not between /16 and /28, which a subnet can be")


def a_zone_belongs_to_its_region(network: NetworkSettings, region: str) -> Iterator[Problem]:
    of_zone = network.zone.rpartition("-")[0]
    if of_zone != region:
        yield Problem(
            "tandem:network.zone", f"{network.zone} is a zone of {of_zone}, but tencentcloud:region is {region}"
        )


def an_existing_network_says_which_addresses_it_has(network: NetworkSettings) -> Iterator[Problem]:
    if network.existing is None:
        return
    for field, key in (("vpc_cidr", "vpcCidr"), ("subnet_cidr", "subnetCidr")):
        if field not in network.model_fields_set:
            yield Problem(f"tandem:network.{key}", "is missing; an existing network has addresses of its own")


def an_existing_network_routes_by_itself(network: NetworkSettings) -> Iterator[Problem]:
    if network.existing is not None and network.egress == "nat":
        yield Problem(
            "tandem:network.egress",
            "nat would need a route in a network that is not this stack's; set none, and give the network its own NAT",
        )


def every_address_is_free_and_in_the_subnet(
    network: NetworkSettings, nodes: NodesSettings, virtual_ip: VirtualIpSettings, access: AccessSettings
) -> Iterator[Problem]:
    wanted = [(f"tandem:nodes.members[{i}].address", node.address) for i, node in enumerate(nodes.members)]
    wanted += [("tandem:virtualIp.address", virtual_ip.address)]
    if virtual_ip.second_address is not None:
        wanted += [("tandem:virtualIp.secondAddress", virtual_ip.second_address)]
    if access.mode == "bastion":
        wanted += [("tandem:access.bastion.address", access.bastion.address)]
    uses = Counter(address for _, address in wanted)
    for key, address in wanted:
        if address not in network.subnet_cidr:
            yield Problem(key, f"{address} is not in the subnet {network.subnet_cidr}")
        elif address in _reserved(network.subnet_cidr):
            reserved = ", ".join(str(each) for each in _reserved(network.subnet_cidr))
            yield Problem(key, f"{address} is reserved by the cloud in {network.subnet_cidr} (it keeps {reserved})")
        elif uses[address] > 1:
            others = ", ".join(other for other, same in wanted if same == address and other != key)
            yield Problem(key, f"{address} is used twice: also by {others}")


def _reserved(subnet: IPv4Network) -> tuple[IPv4Address, ...]:
    """The network's own address, the gateway and the broadcast address."""
    return (subnet.network_address, subnet.network_address + 1, subnet.broadcast_address)


def a_package_is_named_where_one_is_paid_for(virtual_ip: VirtualIpSettings) -> Iterator[Problem]:
    in_package = virtual_ip.charge_type == "BANDWIDTH_PACKAGE"
    if in_package and virtual_ip.bandwidth_package_id is None:
        yield Problem("tandem:virtualIp.bandwidthPackageId", "is missing; chargeType BANDWIDTH_PACKAGE needs a package")
    if not in_package and virtual_ip.bandwidth_package_id is not None:
        yield Problem(
            "tandem:virtualIp.bandwidthPackageId",
            f"{virtual_ip.bandwidth_package_id} would not be used: chargeType is {virtual_ip.charge_type}",
        )


def a_public_address_is_no_faster_than_the_cloud_sells(virtual_ip: VirtualIpSettings) -> Iterator[Problem]:
    if virtual_ip.charge_type != "BANDWIDTH_PACKAGE" and virtual_ip.bandwidth_mbps > _MOST_MBPS:
        yield Problem(
            "tandem:virtualIp.bandwidthMbps",
            f"{virtual_ip.bandwidth_mbps} is more than {_MOST_MBPS}, the most with chargeType "
            f"{virtual_ip.charge_type}; more takes a bandwidth package",
        )


def nodes_have_names_of_their_own(nodes: NodesSettings) -> Iterator[Problem]:
    uses = Counter(node.name for node in nodes.members)
    for index, node in enumerate(nodes.members):
        if uses[node.name] > 1:
            yield Problem(f"tandem:nodes.members[{index}].name", f"{node.name} is used by {uses[node.name]} nodes")


def the_bastion_keeps_its_name(nodes: NodesSettings, access: AccessSettings) -> Iterator[Problem]:
    for index, node in enumerate(nodes.members):
        if access.mode == "bastion" and node.name == "bastion":
            yield Problem(f"tandem:nodes.members[{index}].name", "bastion is the name of the bastion itself")


def ssh_is_not_open_to_everyone(access: AccessSettings) -> Iterator[Problem]:
    for index, cidr in enumerate(access.admin_cidrs):
        if cidr.prefixlen < _WIDEST_ADMIN_PREFIX:
            yield Problem(
                f"tandem:access.adminCidrs[{index}]",
                f"{cidr} lets (nearly) everyone try; name your own networks",
            )
    for index, cidr in enumerate(access.admin_cidrs):
        if cidr in access.admin_cidrs[:index]:
            yield Problem(f"tandem:access.adminCidrs[{index}]", f"{cidr} is listed twice")


RULES = (
    an_existing_network_says_which_addresses_it_has,
    the_bastion_keeps_its_name,
    a_vpc_is_private_and_of_a_size_that_the_cloud_makes,
    a_subnet_lies_in_its_vpc,
    a_zone_belongs_to_its_region,
    an_existing_network_routes_by_itself,
    every_address_is_free_and_in_the_subnet,
    a_package_is_named_where_one_is_paid_for,
    a_public_address_is_no_faster_than_the_cloud_sells,
    nodes_have_names_of_their_own,
    ssh_is_not_open_to_everyone,
)
