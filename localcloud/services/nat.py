"""NAT gateways."""

from __future__ import annotations

from localcloud.rules import address, address_binding, nat, nat_addresses, task, vpc
from localcloud.rules.catalog import ZONES
from localcloud.rules.nat import NatGateway
from localcloud.rules.records import beijing_time, changed
from localcloud.rules.refusal import MissingParameter
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import Filters, UnknownFilter, listed
from localcloud.services.parameters import Parameters

_ONE = (nat.NatGatewayNotFound, nat.NatGatewayBusy)
_TAKING = (
    nat_addresses.TooManyGatewayAddresses,
    nat_addresses.GatewayAddressNotFound,
    nat_addresses.AddressNotBilledByTraffic,
    nat_addresses.GatewayAddressQuota,
    address.DailyAddressQuota,
    address_binding.AddressBusyForVpc,
    address_binding.GatewayAddressAlreadyBound,
)


def show(call: Call, found: NatGateway) -> Answer:
    return {
        "NatGatewayId": found.id,
        "NatGatewayName": found.name,
        "CreatedTime": beijing_time(found.created),
        "State": found.state,
        "InternetMaxBandwidthOut": found.bandwidth_mbps,
        "MaxConcurrentConnection": found.connections,
        "PublicIpAddressSet": [
            {"AddressId": one.id, "PublicIpAddress": str(one.ip), "IsBlocked": False}
            for one in nat_addresses.of_gateway(call.tx, found.id)
        ],
        "NetworkState": "AVAILABLE",
        "VpcId": found.vpc_id,
        "Zone": found.zone,
        "SubnetId": found.subnet_id,
        "RestrictState": "NORMAL",
        "NatProductVersion": found.product_version,
        "TagSet": tagging.shown(call, found.id),
    }


@action(
    "vpc",
    "CreateNatGateway",
    vpc.VpcNotFound,
    nat.NatGatewayQuota,
    nat.NatGatewayNeedsAddress,
    nat.GatewayZoneUnknown,
    *_TAKING,
)
def create_nat_gateway(call: Call, given: Parameters) -> Answer:
    """Create a NAT gateway with existing or new EIPs. Its first state is PENDING."""
    requested = NatGateway(
        name=given.text("NatGatewayName"),
        vpc_id=given.resource_id("VpcId", "vpc"),
        zone=given.find_text("Zone") or ZONES[call.region][0],
        subnet_id=given.find_text("SubnetId") or "",
        bandwidth_mbps=given.integer_or("InternetMaxBandwidthOut", 100),
        connections=given.integer_or("MaxConcurrentConnection", 1_000_000),
        product_version=given.find_integer("NatProductVersion") or 1,
    )
    made = nat.create(call.tx, requested, *_addresses(given), tagging.given(given))
    return {"NatGatewaySet": [show(call, made)], "TotalCount": 1}


def _addresses(given: Parameters) -> tuple[tuple[str, ...], int]:
    """Return the existing EIPs of a request, and the number of new ones."""
    return given.texts("PublicIpAddresses"), given.integer_in("AddressCount", 0, address.QUOTA, default=0)


@action("vpc", "DescribeNatGateways", UnknownFilter)
def describe_nat_gateways(call: Call, _given: Parameters) -> Answer:
    """List NAT gateways."""
    filters: Filters[NatGateway] = {
        "nat-gateway-id": lambda one: [one.id],
        "vpc-id": lambda one: [one.vpc_id],
        "nat-gateway-name": lambda one: [one.name],
        "nat-state": lambda one: [one.state],
    }
    return listed(call, "NatGatewaySet", NatGateway, show, filters, ids="NatGatewayIds", values_limit=5)


@action("vpc", "ModifyNatGatewayAttribute", *_ONE)
def modify_nat_gateway_attribute(call: Call, given: Parameters) -> None:
    """Change the name or bandwidth of a NAT gateway."""
    present = nat.get_ready(call.tx, given.resource_id("NatGatewayId", "nat"))
    name, bandwidth_mbps = given.find_text("NatGatewayName"), given.find_integer("InternetMaxBandwidthOut")
    nat.change(call.tx, changed(present, {"name": name, "bandwidth_mbps": bandwidth_mbps}))


@action("vpc", "ResetNatGatewayConnection", *_ONE)
def reset_nat_gateway_connection(call: Call, given: Parameters) -> None:
    """Change the maximum number of connections of a NAT gateway."""
    present = nat.get_ready(call.tx, given.resource_id("NatGatewayId", "nat"))
    nat.change(call.tx, changed(present, {"connections": given.integer("MaxConcurrentConnection")}))


@action("vpc", "AssociateNatGatewayAddress", *_ONE, *_TAKING)
def associate_nat_gateway_address(call: Call, given: Parameters) -> None:
    """Bind more EIPs to a NAT gateway. The RequestId is the task ID."""
    ips, new = _addresses(given)
    if not ips and not new:
        raise MissingParameter(name="PublicIpAddresses")
    nat.add_addresses(call.tx, given.resource_id("NatGatewayId", "nat"), ips, new)
    task.begin(call.tx, call.tx.timing.address_s, task_id=call.request_id)


@action(
    "vpc",
    "DisassociateNatGatewayAddress",
    *_ONE,
    nat_addresses.AddressToReleaseNotFound,
    nat_addresses.LastAddressRequired,
)
def disassociate_nat_gateway_address(call: Call, given: Parameters) -> None:
    """Unbind EIPs from a NAT gateway. The RequestId is the task ID."""
    nat.remove_addresses(call.tx, given.resource_id("NatGatewayId", "nat"), given.required_texts("PublicIpAddresses"))
    task.begin(call.tx, call.tx.timing.address_s, task_id=call.request_id)


@action("vpc", "DescribeVpcTaskResult", task.TaskNotFound)
def describe_vpc_task_result(call: Call, given: Parameters) -> Answer:
    """Return the state of the task that a request started."""
    found = task.get(call.tx, given.text("TaskId"))
    return {"Status": found.result, "Output": "", "Result": []}


@action("vpc", "DeleteNatGateway", *_ONE)
def delete_nat_gateway(call: Call, given: Parameters) -> None:
    """Delete a NAT gateway and its routes, and unbind its EIPs."""
    nat.delete(call.tx, given.resource_id("NatGatewayId", "nat"))
