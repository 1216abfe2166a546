"""VPCs."""

from __future__ import annotations

from localcloud.rules import vpc
from localcloud.rules.records import beijing_time
from localcloud.rules.refusal import Refusal, documented
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import chosen, flag, page
from localcloud.services.parameters import Parameters


class NoCidrBlocks(Refusal):
    """A request to change assistant CIDR blocks must add or remove at least one."""

    code = "MissingParameter"
    template = "The request must have the parameter `NewCidrBlocks` or `OldCidrBlocks`."
    source = documented("ModifyAssistantCidr: at least one of NewCidrBlocks and OldCidrBlocks", page="215/43272")


def show(call: Call, found: vpc.Vpc) -> Answer:
    """Return a VPC in the response format."""
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


@action("vpc", "CreateVpc", vpc.VpcCidrNotPrivate, vpc.VpcQuota, vpc.TooManyDnsServers)
def create_vpc(call: Call) -> Answer:
    """Create a VPC with its main route table."""
    given = call.parameters
    name, cidr = given.text("VpcName"), given.cidr("CidrBlock")
    made = vpc.create(
        call.tx,
        name=name,
        cidr=cidr,
        multicast=given.find_text_flag("EnableMulticast") or False,
        dns_servers=_dns_servers(given),
        domain_name=given.find_text("DomainName") or "",
        tags=tagging.given(given),
    )
    return {"Vpc": show(call, made)}


@action("vpc", "DescribeVpcs")
def describe_vpcs(call: Call) -> Answer:
    """List VPCs."""
    found = chosen(
        call,
        call.tx.all(vpc.Vpc),
        {
            "vpc-id": lambda one: [one.id],
            "vpc-name": lambda one: [one.name],
            "cidr-block": lambda one: [str(one.cidr)],
            "is-default": lambda _: flag(value=False),
        },
        ids="VpcIds",
    )
    return {"TotalCount": len(found), "VpcSet": [show(call, one) for one in page(call, found)]}


@action("vpc", "ModifyVpcAttribute", vpc.VpcNotFound, vpc.TooManyDnsServers)
def modify_vpc_attribute(call: Call) -> Answer:
    """Change the name, multicast, DNS servers or domain name of a VPC."""
    given = call.parameters
    vpc.modify(
        call.tx,
        given.resource_id("VpcId", "vpc"),
        name=given.find_text("VpcName"),
        multicast=given.find_text_flag("EnableMulticast"),
        dns_servers=_dns_servers(given),
        domain_name=given.find_text("DomainName"),
    )
    return {}


@action(
    "vpc",
    "CreateAssistantCidr",
    vpc.VpcNotFound,
    vpc.VpcCidrNotPrivate,
    vpc.AssistantCidrOverlaps,
    vpc.AssistantCidrQuota,
)
def create_assistant_cidr(call: Call) -> Answer:
    """Add CIDR blocks to a VPC."""
    given = call.parameters
    vpc_id = given.resource_id("VpcId", "vpc")
    given.required_texts("CidrBlocks")
    changed = vpc.change_assistant_cidrs(call.tx, vpc_id, added=given.cidrs("CidrBlocks"), removed=())
    return {"AssistantCidrSet": _assistants(changed)}


@action(
    "vpc",
    "ModifyAssistantCidr",
    vpc.VpcNotFound,
    vpc.VpcCidrNotPrivate,
    vpc.AssistantCidrOverlaps,
    vpc.AssistantCidrQuota,
    vpc.AssistantCidrInUse,
    NoCidrBlocks,
)
def modify_assistant_cidr(call: Call) -> Answer:
    """Add CIDR blocks to a VPC and remove others."""
    given = call.parameters
    vpc_id = given.resource_id("VpcId", "vpc")
    if not given.texts("NewCidrBlocks") and not given.texts("OldCidrBlocks"):
        raise NoCidrBlocks
    changed = vpc.change_assistant_cidrs(
        call.tx, vpc_id, added=given.cidrs("NewCidrBlocks"), removed=given.cidrs("OldCidrBlocks")
    )
    return {"AssistantCidrSet": _assistants(changed)}


@action("vpc", "DeleteVpc", vpc.VpcNotFound, vpc.VpcInUse)
def delete_vpc(call: Call) -> Answer:
    """Delete an empty VPC."""
    vpc.delete(call.tx, call.parameters.resource_id("VpcId", "vpc"))
    return {}
