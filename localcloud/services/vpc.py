"""VPCs."""

from __future__ import annotations

from localcloud.rules import assistant_cidr, tag, vpc
from localcloud.rules.records import beijing_time, changed
from localcloud.rules.refusal import documented, rule
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import Filters, UnknownFilter, flag, listed
from localcloud.services.parameters import Parameters

NoCidrBlocks = rule(
    "MissingParameter",
    "A request to change assistant CIDR blocks must add or remove at least one.",
    documented("ModifyAssistantCidr: at least one of NewCidrBlocks and OldCidrBlocks", page="215/43272"),
)


def show(call: Call, found: vpc.Vpc) -> Answer:
    return {
        "VpcId": found.id,
        "VpcName": found.name,
        "CidrBlock": str(found.cidr),
        "IsDefault": False,
        "EnableMulticast": found.multicast,
        "CreatedTime": beijing_time(found.created),
        "DnsServerSet": list(found.dns_servers),
        "DomainName": found.domain_name,
        "EnableDhcp": True,
        "AssistantCidrSet": _assistants(found),
        "TagSet": tagging.shown(call, found.id),
    }


def _assistants(found: vpc.Vpc) -> list[Answer]:
    return [{"VpcId": found.id, "CidrBlock": str(cidr), "AssistantType": 0} for cidr in found.assistant_cidrs]


def _dns_servers(given: Parameters) -> tuple[str, ...]:
    return tuple(str(server) for server in given.addresses("DnsServers"))


@action("vpc", "CreateVpc", vpc.VpcCidrNotPrivate, vpc.VpcQuota, vpc.TooManyDnsServers, *tag.RULES)
def create_vpc(call: Call, given: Parameters) -> Answer:
    """Create a VPC with its main route table."""
    requested = vpc.Vpc(
        name=given.text("VpcName"),
        cidr=given.cidr("CidrBlock"),
        multicast=given.find_text_flag("EnableMulticast") or False,
        dns_servers=_dns_servers(given) or vpc.DNS_SERVERS,
        domain_name=given.find_text("DomainName") or "",
    )
    return {"Vpc": show(call, vpc.create(call.tx, requested, tagging.given(given)))}


@action("vpc", "DescribeVpcs", vpc.VpcNotFound, UnknownFilter)
def describe_vpcs(call: Call, _given: Parameters) -> Answer:
    """List VPCs."""
    filters: Filters[vpc.Vpc] = {
        "vpc-id": lambda one: [one.id],
        "vpc-name": lambda one: [one.name],
        "cidr-block": lambda one: [str(one.cidr)],
        "is-default": lambda _: flag(value=False),
    }
    return listed(call, "VpcSet", vpc.Vpc, show, filters, ids="VpcIds", missing=vpc.VpcNotFound)


@action("vpc", "ModifyVpcAttribute", vpc.VpcNotFound, vpc.TooManyDnsServers)
def modify_vpc_attribute(call: Call, given: Parameters) -> None:
    """Change the name, multicast, DNS servers or domain name of a VPC."""
    present = vpc.get(call.tx, given.resource_id("VpcId", "vpc"))
    attributes = {
        "name": given.find_text("VpcName"),
        "multicast": given.find_text_flag("EnableMulticast"),
        "dns_servers": _dns_servers(given) or None,
        "domain_name": given.find_text("DomainName"),
    }
    vpc.change(call.tx, changed(present, attributes))


@action(
    "vpc",
    "CreateAssistantCidr",
    vpc.VpcNotFound,
    vpc.VpcCidrNotPrivate,
    assistant_cidr.AssistantCidrOverlaps,
    assistant_cidr.AssistantCidrQuota,
)
def create_assistant_cidr(call: Call, given: Parameters) -> Answer:
    """Add CIDR blocks to a VPC."""
    vpc_id = given.resource_id("VpcId", "vpc")
    given.required_texts("CidrBlocks")
    owner = assistant_cidr.change(call.tx, vpc_id, added=given.cidrs("CidrBlocks"), removed=())
    return {"AssistantCidrSet": _assistants(owner)}


@action(
    "vpc",
    "ModifyAssistantCidr",
    vpc.VpcNotFound,
    vpc.VpcCidrNotPrivate,
    assistant_cidr.AssistantCidrOverlaps,
    assistant_cidr.AssistantCidrQuota,
    assistant_cidr.AssistantCidrInUse,
    NoCidrBlocks,
)
def modify_assistant_cidr(call: Call, given: Parameters) -> Answer:
    """Add CIDR blocks to a VPC and remove others."""
    vpc_id = given.resource_id("VpcId", "vpc")
    if not given.texts("NewCidrBlocks") and not given.texts("OldCidrBlocks"):
        raise NoCidrBlocks
    added, removed = given.cidrs("NewCidrBlocks"), given.cidrs("OldCidrBlocks")
    return {"AssistantCidrSet": _assistants(assistant_cidr.change(call.tx, vpc_id, added=added, removed=removed))}


@action("vpc", "DeleteVpc", vpc.VpcNotFound, vpc.VpcInUse)
def delete_vpc(call: Call, given: Parameters) -> None:
    """Delete an empty VPC."""
    vpc.delete(call.tx, given.resource_id("VpcId", "vpc"))
