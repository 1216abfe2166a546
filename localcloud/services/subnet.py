"""Subnets and the private addresses in use."""

from __future__ import annotations

from localcloud.rules import route_table, subnet, vpc
from localcloud.rules.records import beijing_time
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import chosen, flag, page


def show(call: Call, found: subnet.Subnet) -> Answer:
    """Return a subnet in the response format."""
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
def create_subnet(call: Call) -> Answer:
    """Create a subnet in one zone of a VPC."""
    given = call.parameters
    made = subnet.create(
        call.tx,
        vpc_id=given.resource_id("VpcId", "vpc"),
        name=given.text("SubnetName"),
        cidr=given.cidr("CidrBlock"),
        zone=given.text("Zone"),
        tags=tagging.given(given),
    )
    return {"Subnet": show(call, made)}


@action("vpc", "DescribeSubnets")
def describe_subnets(call: Call) -> Answer:
    """List subnets."""
    found = chosen(
        call,
        call.tx.all(subnet.Subnet),
        {
            "subnet-id": lambda one: [one.id],
            "vpc-id": lambda one: [one.vpc_id],
            "cidr-block": lambda one: [str(one.cidr)],
            "is-default": lambda _: flag(value=False),
            "subnet-name": lambda one: [one.name],
            "zone": lambda one: [one.zone],
        },
        ids="SubnetIds",
    )
    return {"TotalCount": len(found), "SubnetSet": [show(call, one) for one in page(call, found)]}


@action("vpc", "ModifySubnetAttribute", subnet.SubnetNotFound)
def modify_subnet_attribute(call: Call) -> Answer:
    """Change the name or broadcast of a subnet."""
    given = call.parameters
    subnet.modify(
        call.tx,
        given.resource_id("SubnetId", "subnet"),
        name=given.find_text("SubnetName"),
        broadcast=given.find_text_flag("EnableBroadcast"),
    )
    return {}


@action(
    "vpc",
    "ReplaceRouteTableAssociation",
    subnet.SubnetNotFound,
    route_table.RouteTableNotFound,
    subnet.RouteTableOfOtherVpc,
)
def replace_route_table_association(call: Call) -> Answer:
    """Associate a subnet with another route table."""
    given = call.parameters
    subnet.associate_route_table(
        call.tx, given.resource_id("SubnetId", "subnet"), given.resource_id("RouteTableId", "rtb")
    )
    return {}


@action("vpc", "DeleteSubnet", subnet.SubnetNotFound, subnet.SubnetInUse)
def delete_subnet(call: Call) -> Answer:
    """Delete an unused subnet."""
    subnet.delete(call.tx, call.parameters.resource_id("SubnetId", "subnet"))
    return {}


@action("vpc", "DescribeUsedIpAddress", vpc.VpcNotFound, subnet.SubnetNotFound)
def describe_used_ip_address(call: Call) -> Answer:
    """List the private addresses in use."""
    given = call.parameters
    owner = vpc.get(call.tx, given.resource_id("VpcId", "vpc"))
    only = given.find_text("SubnetId")
    places = [subnet.get(call.tx, only)] if only else subnet.in_vpc(call.tx, owner.id)
    requested = set(given.texts("IpAddresses"))
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
