"""Requests that violate the rules of EIPs and NAT gateways."""

from __future__ import annotations

from typing import Any

from localcloud.rules import address, address_binding, address_charge, nat, nat_addresses, refusal, task
from localcloud.services import address as addresses
from tests.localcloud.api.place import Place
from tests.localcloud.api.refused import Request, Row, eni_of, gateway, row


def _bind(address_id: str, **target: str) -> Request:
    return "vpc:AssociateAddress", {"AddressId": address_id, **target}


def _bound(place: Place) -> tuple[str, str]:
    """Return an EIP that is bound to an instance, and the instance."""
    (address_id, _), instance_id = place.eip(), place.machine()
    target, given = _bind(address_id, InstanceId=instance_id)
    place.call(target, **given)
    place.call.settle()
    return address_id, instance_id


def _bound_twice(place: Place) -> Request:
    return _bind(_bound(place)[0], InstanceId=place.machine())


def _second_eip(place: Place) -> Request:
    _, instance_id = _bound(place)
    return _bind(place.eip()[0], InstanceId=instance_id)


def _second_eip_on_an_address(place: Place) -> Request:
    _, instance_id = _bound(place)
    private = place.show(instance_id)["PrivateIpAddresses"][0]
    return _bind(place.eip()[0], NetworkInterfaceId=eni_of(place, instance_id), PrivateIpAddress=private)


def _public_machine(place: Place) -> str:
    return place.machine(InternetAccessible={"InternetMaxBandwidthOut": 5, "PublicIpAssigned": True})


def _interface_of_a_public_machine(place: Place) -> Request:
    instance_id = _public_machine(place)
    private = place.show(instance_id)["PrivateIpAddresses"][0]
    return _bind(place.eip()[0], NetworkInterfaceId=eni_of(place, instance_id), PrivateIpAddress=private)


def _release_bound(place: Place) -> Request:
    return "vpc:ReleaseAddresses", {"AddressIds": [_bound(place)[0]]}


def _quota_used(place: Place) -> Request:
    place.call("vpc:AllocateAddresses", AddressCount=20)
    return "vpc:AllocateAddresses", {}


def _daily_quota_used(place: Place) -> Request:
    """Allocate and release twice 20 EIPs on one day."""
    for _ in range(2):
        made = place.call("vpc:AllocateAddresses", AddressCount=20)["AddressSet"]
        place.call.settle()
        place.call("vpc:ReleaseAddresses", AddressIds=made)
        place.call.settle()
    return "vpc:AllocateAddresses", {}


def _havip_with_eip(place: Place) -> tuple[str, str]:
    havip_id, (address_id, ip) = place.havip(), place.eip()
    place.call("vpc:HaVipAssociateAddressIp", HaVipId=havip_id, AddressIp=ip)
    place.call.settle()
    return havip_id, address_id


def _second_eip_of_a_havip(place: Place) -> Request:
    return "vpc:HaVipAssociateAddressIp", {"HaVipId": _havip_with_eip(place)[0], "AddressIp": place.eip()[1]}


def _bound_eip_to_a_havip(place: Place) -> Request:
    address_id, _ = _bound(place)
    return "vpc:HaVipAssociateAddressIp", {"HaVipId": place.havip(), "AddressIp": _ip(place, address_id)}


def _ip(place: Place, address_id: str) -> str:
    return place.call("vpc:DescribeAddresses", AddressIds=[address_id])["AddressSet"][0]["AddressIp"]


def _eip_of_a_gateway(place: Place) -> Request:
    _, ip = gateway(place)
    filters = [{"Name": "address-ip", "Values": [ip]}]
    found = place.call("vpc:DescribeAddresses", Filters=filters)["AddressSet"][0]
    return "vpc:DisassociateAddress", {"AddressId": found["AddressId"]}


_PREPAID: dict[str, Any] = {"AddressChargePrepaid": {"Period": 1}}


def _charge(address_id: str, charge_type: str, bandwidth: int = 10, *, prepaid: bool = False) -> Request:
    request: dict[str, Any] = {
        "AddressId": address_id,
        "InternetChargeType": charge_type,
        "InternetMaxBandwidthOut": bandwidth,
    }
    return "vpc:ModifyAddressInternetChargeType", request | (_PREPAID if prepaid else {})


def _third_charge_type(place: Place) -> Request:
    address_id = place.eip()[0]
    for charge_type in ("BANDWIDTH_PREPAID_BY_MONTH", "TRAFFIC_POSTPAID_BY_HOUR"):
        target, given = _charge(address_id, charge_type, prepaid=True)
        place.call(target, **given)
    return _charge(address_id, "BANDWIDTH_PREPAID_BY_MONTH", prepaid=True)


def _nat(place: Place, **parameters: Any) -> Request:
    return "vpc:CreateNatGateway", {"NatGatewayName": "nat", "VpcId": place.vpc_id, **parameters}


def _full_gateways(place: Place) -> Request:
    for _ in range(nat.MAX_PER_VPC):
        target, parameters = _nat(place, AddressCount=1)
        place.call(target, **parameters)
        place.call.settle()
    return _nat(place, AddressCount=1)


def _quota_used_before_gateway(place: Place) -> Request:
    place.call("vpc:AllocateAddresses", AddressCount=20)
    return _nat(place, AddressCount=1)


def _gateway_with_a_bound_eip(place: Place) -> Request:
    return _nat(place, PublicIpAddresses=[_ip(place, _bound(place)[0])])


def _gateway_with_eip_billed_by_bandwidth(place: Place) -> Request:
    made = place.call("vpc:AllocateAddresses", InternetChargeType="BANDWIDTH_POSTPAID_BY_HOUR")["AddressSet"][0]
    place.call.settle()
    return _nat(place, PublicIpAddresses=[_ip(place, made)])


def _last_address(place: Place) -> Request:
    gateway_id, ip = gateway(place)
    return "vpc:DisassociateNatGatewayAddress", {"NatGatewayId": gateway_id, "PublicIpAddresses": [ip]}


def _unbound_address(place: Place) -> Request:
    gateway_id, _ = gateway(place)
    return "vpc:DisassociateNatGatewayAddress", {"NatGatewayId": gateway_id, "PublicIpAddresses": ["203.0.113.250"]}


def _rename_gateway(place: Place, name: str) -> Request:
    return "vpc:ModifyNatGatewayAttribute", {"NatGatewayId": gateway(place)[0], "NatGatewayName": name}


def _associate_a_negative_count(place: Place) -> Request:
    return "vpc:AssociateNatGatewayAddress", {"NatGatewayId": gateway(place)[0], "AddressCount": -1}


def _standard_gateway_with_other_size(place: Place) -> Request:
    target, parameters = _nat(place, AddressCount=1, NatProductVersion=2)
    made = place.call(target, **parameters)["NatGatewaySet"][0]
    return "vpc:ModifyNatGatewayAttribute", {"NatGatewayId": made["NatGatewayId"], "InternetMaxBandwidthOut": 200}


ROWS = [
    row(address.AddressNotFound, "vpc:ReleaseAddresses", AddressIds=["eip-00000000"]),
    row(address.AddressIdMalformed, "vpc:ReleaseAddresses", AddressIds=["eip-1"]),
    Row(address.AddressQuota, _quota_used),
    Row(address.DailyAddressQuota, _daily_quota_used),
    row(refusal.InvalidParameterValue, "vpc:AllocateAddresses", InternetServiceProvider="T-COM"),
    row(address.NameMalformed, "vpc:AllocateAddresses", AddressName="the address"),
    Row(
        address.NameTooLong,
        lambda p: ("vpc:ModifyAddressAttribute", {"AddressId": p.eip()[0], "AddressName": "网" * 129}),
    ),
    Row(address.AddressStillBound, _release_bound),
    Row(
        address.PublicAddressNotFound,
        lambda p: ("vpc:HaVipAssociateAddressIp", {"HaVipId": p.havip(), "AddressIp": "203.0.113.250"}),
    ),
    row(address_charge.BandwidthOutOfRange, "vpc:AllocateAddresses", InternetMaxBandwidthOut=101),
    row(
        address_charge.BandwidthPackageNotFound,
        "vpc:AllocateAddresses",
        InternetChargeType="BANDWIDTH_PACKAGE",
        BandwidthPackageId="bwp-00000000",
    ),
    Row(address_charge.ChargeTypeNotChanged, lambda p: _charge(p.eip()[0], "TRAFFIC_POSTPAID_BY_HOUR")),
    Row(address_charge.ChargeTypeNotChangeable, lambda p: _charge(p.eip()[0], "BANDWIDTH_POSTPAID_BY_HOUR")),
    Row(address_charge.TooManyChargeTypeChanges, _third_charge_type),
    Row(
        address_charge.NewBandwidthOutOfRange,
        lambda p: _charge(p.eip()[0], "BANDWIDTH_PREPAID_BY_MONTH", 201, prepaid=True),
    ),
    Row(address_binding.AddressAlreadyBound, _bound_twice),
    Row(address_binding.HaVipAddressAlreadyBound, _bound_eip_to_a_havip),
    Row(address_binding.GatewayAddressAlreadyBound, _gateway_with_a_bound_eip),
    Row(address_binding.AddressNotBound, lambda p: ("vpc:DisassociateAddress", {"AddressId": p.eip()[0]})),
    Row(address_binding.UnboundByAnotherAction, _eip_of_a_gateway),
    Row(
        address_binding.UnboundByAnotherAction,
        lambda p: ("vpc:DisassociateAddress", {"AddressId": _havip_with_eip(p)[1]}),
    ),
    Row(address_binding.InstanceHasAddress, _second_eip),
    Row(address_binding.InstanceHasPublicAddress, lambda p: _bind(p.eip()[0], InstanceId=_public_machine(p))),
    Row(address_binding.InstanceHasPublicAddress, _interface_of_a_public_machine),
    Row(address_binding.PrivateAddressHasAddress, _second_eip_on_an_address),
    Row(
        address_binding.PrivateAddressNotFound,
        lambda p: _bind(p.eip()[0], NetworkInterfaceId=eni_of(p, p.machine()), PrivateIpAddress="10.0.4.250"),
    ),
    Row(
        address_binding.PrivateAddressNotFound,
        lambda p: _bind(p.eip()[0], NetworkInterfaceId="eni-00000000", PrivateIpAddress="10.0.4.250"),
    ),
    Row(address_binding.HaVipHasAddress, _second_eip_of_a_havip),
    Row(address_binding.HaVipHasNoAddress, lambda p: ("vpc:HaVipDisassociateAddressIp", {"HaVipId": p.havip()})),
    Row(address_binding.TargetUnsupported, lambda p: _bind(p.eip()[0], InstanceId="lb-00000000")),
    Row(address_binding.TargetUnsupported, lambda p: _bind(p.eip()[0], InstanceId=p.havip())),
    Row(address_binding.TargetMissing, lambda p: _bind(p.eip()[0])),
    Row(
        addresses.InstanceOrInterface,
        lambda p: _bind(p.eip()[0], InstanceId="ins-00000000", NetworkInterfaceId="eni-00000000"),
    ),
    row(addresses.UnknownAddressFilter, "vpc:DescribeAddresses", Filters=[{"Name": "colour", "Values": ["blue"]}]),
    row(
        addresses.AddressIdsAndFilter,
        "vpc:DescribeAddresses",
        AddressIds=["eip-00000000"],
        Filters=[{"Name": "address-id", "Values": ["eip-00000000"]}],
    ),
    row(addresses.TaskNotFoundByNumber, "vpc:DescribeTaskResult", TaskId=1),
    row(addresses.TaskNotFoundByNumber, "vpc:DescribeTaskResult", TaskId=-1),
    row(task.TaskNotFound, "vpc:DescribeVpcTaskResult", TaskId="no such request"),
    row(nat.NatGatewayNotFound, "vpc:DeleteNatGateway", NatGatewayId="nat-00000000"),
    Row(nat.NatGatewayQuota, _full_gateways),
    Row(nat.NatGatewayNeedsAddress, _nat),
    Row(nat.GatewayZoneUnknown, lambda p: _nat(p, AddressCount=1, Zone="ap-shanghai-2")),
    Row(refusal.ParameterOutOfRange, lambda p: _nat(p, PublicIpAddresses=[p.eip()[1]], AddressCount=-1)),
    Row(refusal.InvalidParameterValue, lambda p: _nat(p, AddressCount=1, NatProductVersion=3)),
    Row(refusal.InvalidParameterValue, _standard_gateway_with_other_size),
    Row(refusal.InvalidParameterValue, lambda p: _rename_gateway(p, "")),
    Row(refusal.MissingParameter, lambda p: ("vpc:AssociateNatGatewayAddress", {"NatGatewayId": gateway(p)[0]})),
    Row(refusal.ParameterOutOfRange, _associate_a_negative_count),
    Row(nat_addresses.TooManyGatewayAddresses, lambda p: _nat(p, AddressCount=11)),
    Row(nat_addresses.GatewayAddressNotFound, lambda p: _nat(p, PublicIpAddresses=["203.0.113.250"])),
    Row(nat_addresses.AddressNotBilledByTraffic, _gateway_with_eip_billed_by_bandwidth),
    Row(nat_addresses.GatewayAddressQuota, _quota_used_before_gateway),
    Row(nat_addresses.LastAddressRequired, _last_address),
    Row(nat_addresses.AddressToReleaseNotFound, _unbound_address),
]
