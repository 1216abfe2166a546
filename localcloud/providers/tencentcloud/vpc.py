"""Vpc/instance and Subnet/instance."""

from __future__ import annotations

import os
import time
from typing import Any

from localcloud.providers.schema import COMPUTED, FIXED, OPTIONAL, REQUIRED, Property
from localcloud.providers.tencentcloud import tags
from localcloud.providers.tencentcloud.api import Api, deleting
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.values import Properties


def filters(**values: str) -> list[dict[str, Any]]:
    """Return `Filters` of a Describe call: `vpc_id="vpc-1"` becomes the filter `vpc-id`."""
    return [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in values.items()]


def _text(flag: Any) -> str:
    """Convert a boolean to the string that the VPC API requires."""
    return "true" if flag else "false"


def find_vpc(api: Api, vpc_id: str) -> dict[str, Any] | None:
    given = {"Filters": filters(vpc_id=vpc_id), "Offset": "0", "Limit": "100"}
    return api.find("vpc", "DescribeVpcs", "VpcSet", **given)


def find_subnet(api: Api, subnet_id: str) -> dict[str, Any] | None:
    given = {"Filters": filters(subnet_id=subnet_id), "Offset": "0", "Limit": "100"}
    return api.find("vpc", "DescribeSubnets", "SubnetSet", **given)


def find_route_table(api: Api, **values: str) -> dict[str, Any] | None:
    given = {"Filters": filters(**values), "Offset": "0", "Limit": "100"}
    return api.find("vpc", "DescribeRouteTables", "RouteTableSet", **given)


def find_main_route_table(api: Api, vpc_id: str) -> dict[str, Any] | None:
    return find_route_table(api, **{"vpc_id": vpc_id, "association.main": "true"})


def _create_vpc(api: Api, inputs: Properties, _token: str) -> str:
    answer = api.vpc(
        "CreateVpc",
        {
            "VpcName": inputs.get("name", ""),
            "CidrBlock": inputs["cidrBlock"],
            "EnableMulticast": _text(inputs["isMulticast"]),
            "DnsServers": inputs.get("dnsServers"),
            "Tags": tags.as_list(inputs.get("tags")),
        },
    )
    # As in the real plugin, which waits for the tags. Only a VPC has this wait.
    time.sleep(float(os.environ.get("TENCENTCLOUD_WAIT_READ_TIMEOUT") or 1))
    return answer["Vpc"]["VpcId"]


def _settle_vpc(api: Api, vpc_id: str, inputs: Properties) -> None:
    requested = inputs.get("assistantCidrs")
    if requested:
        present = {block["CidrBlock"] for block in (find_vpc(api, vpc_id) or {}).get("AssistantCidrSet") or []}
        missing = [cidr for cidr in requested if cidr not in present]
        if missing:
            api.vpc("CreateAssistantCidr", {"VpcId": vpc_id, "CidrBlocks": missing})


def _read_vpc(api: Api, vpc_id: str, _inputs: Properties) -> Properties | None:
    vpc = find_vpc(api, vpc_id)
    if vpc is None:
        return None
    blocks = vpc.get("AssistantCidrSet") or []
    return {
        "name": vpc["VpcName"],
        "cidrBlock": vpc["CidrBlock"],
        "isMulticast": vpc["EnableMulticast"],
        "isDefault": vpc["IsDefault"],
        "createTime": vpc["CreatedTime"],
        "dnsServers": vpc.get("DnsServerSet") or [],
        "assistantCidrs": [block["CidrBlock"] for block in blocks if not block["AssistantType"]],
        "dockerAssistantCidrs": [block["CidrBlock"] for block in blocks if block["AssistantType"]],
        "defaultRouteTableId": (find_main_route_table(api, vpc_id) or {}).get("RouteTableId", ""),
        "tags": {tag["Key"]: tag["Value"] for tag in vpc.get("TagSet") or []},
    }


def _update_vpc(api: Api, vpc_id: str, old: Properties, new: Properties) -> None:
    api.vpc(
        "ModifyVpcAttribute",
        {
            "VpcId": vpc_id,
            "VpcName": new.get("name", ""),
            "EnableMulticast": _text(new["isMulticast"]),
            "DnsServers": new.get("dnsServers"),
        },
    )
    # Added blocks exist already: the settle step, which precedes each update, creates what is missing.
    removed = set(old.get("assistantCidrs") or ()) - set(new.get("assistantCidrs") or ())
    if removed and "assistantCidrs" in new:
        api.vpc("ModifyAssistantCidr", {"VpcId": vpc_id, "OldCidrBlocks": sorted(removed)})
    tags.change(api, "vpc/vpc", vpc_id, old, new)


def _create_subnet(api: Api, inputs: Properties, _token: str) -> str:
    answer = api.vpc(
        "CreateSubnet",
        {
            "VpcId": inputs["vpcId"],
            "SubnetName": inputs.get("name", ""),
            "CidrBlock": inputs["cidrBlock"],
            "Zone": inputs["availabilityZone"],
            "CdcId": inputs.get("cdcId"),
            "Tags": tags.as_list(inputs.get("tags")),
        },
    )
    return answer["Subnet"]["SubnetId"]


def _settle_subnet(api: Api, subnet_id: str, inputs: Properties) -> None:
    _modify_subnet(api, subnet_id, inputs)
    if inputs.get("routeTableId"):
        associate_route_table(api, subnet_id, inputs["routeTableId"])


def _modify_subnet(api: Api, subnet_id: str, inputs: Properties) -> None:
    api.vpc(
        "ModifySubnetAttribute",
        {"SubnetId": subnet_id, "SubnetName": inputs.get("name", ""), "EnableBroadcast": _text(inputs["isMulticast"])},
    )


def associate_route_table(api: Api, subnet_id: str, route_table_id: str) -> None:
    api.vpc("ReplaceRouteTableAssociation", {"SubnetId": subnet_id, "RouteTableId": route_table_id})


def _read_subnet(api: Api, subnet_id: str, _inputs: Properties) -> Properties | None:
    subnet = find_subnet(api, subnet_id)
    if subnet is None:
        return None
    return {
        "name": subnet["SubnetName"],
        "vpcId": subnet["VpcId"],
        "cidrBlock": subnet["CidrBlock"],
        "availabilityZone": subnet["Zone"],
        "isDefault": subnet["IsDefault"],
        "isMulticast": subnet["EnableBroadcast"],
        "routeTableId": subnet["RouteTableId"],
        "createTime": subnet["CreatedTime"],
        "availableIpCount": subnet["AvailableIpAddressCount"],
        "cdcId": subnet.get("CdcId") or "",
        "tags": tags.read(api, "vpc/subnet", subnet_id),
    }


def _update_subnet(api: Api, subnet_id: str, old: Properties, new: Properties) -> None:
    _modify_subnet(api, subnet_id, new)
    if new.get("routeTableId") and new["routeTableId"] != old.get("routeTableId"):
        associate_route_table(api, subnet_id, new["routeTableId"])
    tags.change(api, "vpc/subnet", subnet_id, old, new)


VPC = ResourceType(
    properties={
        "name": REQUIRED,
        "cidrBlock": FIXED,
        "isMulticast": Property(default=True),
        "dnsServers": Property(computed=True, unordered=True),
        "assistantCidrs": Property(computed=True, unordered=True),
        "tags": OPTIONAL,
    },
    create=_create_vpc,
    settle=_settle_vpc,
    read=_read_vpc,
    update=_update_vpc,
    delete=deleting("vpc", "DeleteVpc", lambda vpc_id: {"VpcId": vpc_id}),
)

SUBNET = ResourceType(
    properties={
        "name": REQUIRED,
        "vpcId": FIXED,
        "cidrBlock": FIXED,
        "availabilityZone": FIXED,
        "cdcId": Property(replaces=True),
        "isMulticast": Property(default=True),
        "routeTableId": COMPUTED,
        "tags": OPTIONAL,
    },
    create=_create_subnet,
    settle=_settle_subnet,
    read=_read_subnet,
    update=_update_subnet,
    delete=deleting("vpc", "DeleteSubnet", lambda subnet_id: {"SubnetId": subnet_id}),
)
