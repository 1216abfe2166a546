"""Subnets and the private addresses in use."""

from __future__ import annotations

from localcloud.rules import route_table, subnet, vpc
from localcloud.rules.records import beijing_time, changed
from localcloud.rules.refusal import check_count
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import Filters, UnknownFilter, flag, listed, page
from localcloud.services.parameters import Parameters


def show(call: Call, found: subnet.Subnet) -> Answer:
    return {
        "SubnetId": found.id,
        "SubnetName": found.name,
        "VpcId": found.vpc_id,
        "CidrBlock": str(found.cidr),
        "Zone": found.zone,
        "IsDefault": False,
        "EnableBroadcast": found.broadcast,
        "RouteTableId": found.route_table_id,
        "CreatedTime": beijing_time(found.created),
        "AvailableIpAddressCount": subnet.available(call.tx, found),
        "TotalIpAddressCount": found.usable,
        "TagSet": tagging.shown(call, found.id),
    }


@action(
    "vpc",
    "CreateSubnet",
    vpc.VpcNotFound,
    subnet.ZoneUnknown,
    subnet.SubnetRange,
    subnet.SubnetOutsideVpc,
    subnet.SubnetConflict,
    subnet.SubnetQuota,
)
def create_subnet(call: Call, given: Parameters) -> Answer:
    """Create a subnet in one zone of a VPC."""
    requested = subnet.Subnet(
        vpc_id=given.resource_id("VpcId", "vpc"),
        name=given.text("SubnetName"),
        cidr=given.cidr("CidrBlock"),
        zone=given.text("Zone"),
    )
    return {"Subnet": show(call, subnet.create(call.tx, requested, tagging.given(given)))}


@action("vpc", "DescribeSubnets", subnet.SubnetNotFound, UnknownFilter)
def describe_subnets(call: Call, _given: Parameters) -> Answer:
    """List subnets."""
    filters: Filters[subnet.Subnet] = {
        "subnet-id": lambda one: [one.id],
        "vpc-id": lambda one: [one.vpc_id],
        "cidr-block": lambda one: [str(one.cidr)],
        "is-default": lambda _: flag(value=False),
        "subnet-name": lambda one: [one.name],
        "zone": lambda one: [one.zone],
    }
    return listed(call, "SubnetSet", subnet.Subnet, show, filters, ids="SubnetIds", missing=subnet.SubnetNotFound)


@action("vpc", "ModifySubnetAttribute", subnet.SubnetNotFound)
def modify_subnet_attribute(call: Call, given: Parameters) -> None:
    """Change the name or broadcast of a subnet."""
    present = subnet.get(call.tx, given.resource_id("SubnetId", "subnet"))
    name, broadcast = given.find_text("SubnetName"), given.find_text_flag("EnableBroadcast")
    subnet.change(call.tx, changed(present, {"name": name, "broadcast": broadcast}))


@action(
    "vpc",
    "ReplaceRouteTableAssociation",
    subnet.SubnetNotFound,
    route_table.RouteTableNotFound,
    subnet.RouteTableOfOtherVpc,
)
def replace_route_table_association(call: Call, given: Parameters) -> None:
    """Associate a subnet with another route table."""
    subnet.associate_route_table(
        call.tx, given.resource_id("SubnetId", "subnet"), given.resource_id("RouteTableId", "rtb")
    )


@action("vpc", "DeleteSubnet", subnet.SubnetNotFound, subnet.SubnetInUse)
def delete_subnet(call: Call, given: Parameters) -> None:
    """Delete an unused subnet."""
    subnet.delete(call.tx, given.resource_id("SubnetId", "subnet"))


@action("vpc", "DescribeUsedIpAddress", vpc.VpcNotFound, subnet.SubnetNotFound)
def describe_used_ip_address(call: Call, given: Parameters) -> Answer:
    """List the private addresses in use."""
    owner = vpc.get(call.tx, given.resource_id("VpcId", "vpc"))
    only = given.find_text("SubnetId")
    places = [subnet.get(call.tx, only)] if only else subnet.in_vpc(call.tx, owner.id)
    check_count("IpAddresses", len(given.texts("IpAddresses")))
    requested = {str(address) for address in given.addresses("IpAddresses")}
    rows = [
        {
            "VpcId": owner.id,
            "SubnetId": place.id,
            "IpAddress": str(taken.address),
            "ResourceType": taken.resource_type,
            "ResourceId": taken.resource_id,
        }
        for place in places
        for taken in subnet.occupied(call.tx, place.id)
        if not requested or str(taken.address) in requested
    ]
    return {"TotalCount": len(rows), "IpAddressStates": list(page(call, rows))}
