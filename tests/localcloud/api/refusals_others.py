"""What the rules of EIPs, load balancers and lists refuse, and those of all actions."""

from __future__ import annotations

from typing import Any

from localcloud.api import request_rules
from localcloud.rules import address, ddos_list, interface, load_balancer, refusal, task
from localcloud.services import address as addresses
from localcloud.services import parameters
from tests.localcloud.api.lab import PUBLIC_KEY
from tests.localcloud.api.place import Place
from tests.localcloud.api.refused import Request, Row, card, gateway, primary_card, row


def _bind(address_id: str, **target: str) -> Request:
    return "vpc:AssociateAddress", {"AddressId": address_id, **target}


def _bound(place: Place) -> tuple[str, str]:
    """An EIP that is bound to a machine, and the machine."""
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
    return _bind(place.eip()[0], NetworkInterfaceId=primary_card(place, instance_id), PrivateIpAddress=private)


def _public_machine(place: Place) -> Request:
    internet = {"InternetMaxBandwidthOut": 5, "PublicIpAssigned": True}
    return _bind(place.eip()[0], InstanceId=place.machine(InternetAccessible=internet))


def _release_bound(place: Place) -> Request:
    return "vpc:ReleaseAddresses", {"AddressIds": [_bound(place)[0]]}


def _full(place: Place) -> Request:
    place.call("vpc:AllocateAddresses", AddressCount=20)
    return "vpc:AllocateAddresses", {}


def _havip_with_eip(place: Place) -> str:
    havip_id, (_, ip) = place.havip(), place.eip()
    place.call("vpc:HaVipAssociateAddressIp", HaVipId=havip_id, AddressIp=ip)
    place.call.settle()
    return havip_id


def _second_eip_of_a_havip(place: Place) -> Request:
    return "vpc:HaVipAssociateAddressIp", {"HaVipId": _havip_with_eip(place), "AddressIp": place.eip()[1]}


def _eip_of_a_gateway(place: Place) -> Request:
    _, ip = gateway(place)
    wanted = [{"Name": "address-ip", "Values": [ip]}]
    found = place.call("vpc:DescribeAddresses", Filters=wanted)["AddressSet"][0]
    return "vpc:DisassociateAddress", {"AddressId": found["AddressId"]}


def _same_charge(place: Place) -> Request:
    return "vpc:ModifyAddressInternetChargeType", {
        "AddressId": place.eip()[0],
        "InternetChargeType": "TRAFFIC_POSTPAID_BY_HOUR",
        "InternetMaxBandwidthOut": 10,
    }


def _balancer(place: Place) -> str:
    made = place.call(
        "clb:CreateLoadBalancer", LoadBalancerType="INTERNAL", VpcId=place.vpc_id, SubnetId=place.subnet_id
    )
    return made["LoadBalancerIds"][0]


def _listener(place: Place) -> tuple[str, str]:
    balancer_id = _balancer(place)
    made = place.call("clb:CreateListener", LoadBalancerId=balancer_id, Ports=[80], Protocol="TCP")
    return balancer_id, made["ListenerIds"][0]


def _target(place: Place, action: str, instance_id: str, listener: tuple[str, str] | None = None) -> Request:
    balancer_id, listener_id = listener or _listener(place)
    targets = [{"InstanceId": instance_id, "Port": 80}]
    return f"clb:{action}", {"LoadBalancerId": balancer_id, "ListenerId": listener_id, "Targets": targets}


def _registered_twice(place: Place) -> Request:
    target, given = _target(place, "RegisterTargets", place.machine())
    place.call(target, **given)
    return target, given


def _ips(*ips: str) -> dict[str, Any]:
    return {"InstanceId": "bgp-1", "Type": "black", "IpList": [{"Ip": ip, "Mask": 32} for ip in ips]}


def _listed_twice(place: Place) -> Request:
    place.call("antiddos:CreateDDoSBlackWhiteIpList", **_ips("198.51.100.7"))
    return "antiddos:CreateDDoSBlackWhiteIpList", _ips("198.51.100.7")


def _full_list(place: Place) -> Request:
    place.call("antiddos:CreateDDoSBlackWhiteIpList", **_ips(*(f"198.51.100.{number}" for number in range(100))))
    return "antiddos:CreateDDoSBlackWhiteIpList", _ips("198.51.101.1")


ROWS = [
    row(address.AddressNotFound, "vpc:ReleaseAddresses", AddressIds=["eip-00000000"]),
    row(address.AddressIdMalformed, "vpc:ReleaseAddresses", AddressIds=["eip-1"]),
    Row(address.AddressQuota, _full),
    row(address.BandwidthOutOfRange, "vpc:AllocateAddresses", InternetMaxBandwidthOut=101),
    Row(address.AddressAlreadyBound, _bound_twice),
    Row(address.AddressStillBound, _release_bound),
    Row(address.AddressNotBound, lambda p: ("vpc:DisassociateAddress", {"AddressId": p.eip()[0]})),
    Row(address.GatewayKeepsAddress, _eip_of_a_gateway),
    Row(address.InstanceHasAddress, _second_eip),
    Row(address.InstanceHasPublicAddress, _public_machine),
    Row(address.PrivateAddressHasAddress, _second_eip_on_an_address),
    Row(address.HaVipHasAddress, _second_eip_of_a_havip),
    Row(address.HaVipHasNoAddress, lambda p: ("vpc:HaVipDisassociateAddressIp", {"HaVipId": p.havip()})),
    Row(
        address.PublicAddressNotFound,
        lambda p: ("vpc:HaVipAssociateAddressIp", {"HaVipId": p.havip(), "AddressIp": "203.0.113.250"}),
    ),
    Row(address.ChargeTypeNotChanged, _same_charge),
    Row(address.TargetUnsupported, lambda p: _bind(p.eip()[0], InstanceId="lb-00000000")),
    Row(
        addresses.InstanceOrInterface,
        lambda p: _bind(p.eip()[0], InstanceId="ins-00000000", NetworkInterfaceId="eni-00000000"),
    ),
    Row(
        interface.AddressNotOnInterface,
        lambda p: _bind(p.eip()[0], NetworkInterfaceId=card(p), PrivateIpAddress="10.0.4.250"),
    ),
    row(addresses.TaskIdWrong, "vpc:DescribeTaskResult", TaskId=-1),
    row(task.TaskNotFound, "vpc:DescribeTaskResult", TaskId=1),
    row(load_balancer.LoadBalancerNotFound, "clb:DeleteLoadBalancer", LoadBalancerIds=["lb-00000000"]),
    Row(
        load_balancer.ListenerNotFound,
        lambda p: ("clb:DeleteListener", {"LoadBalancerId": _balancer(p), "ListenerId": "lbl-00000000"}),
    ),
    row(load_balancer.OpenNotEmulated, "clb:CreateLoadBalancer", LoadBalancerType="OPEN"),
    row(load_balancer.PlaceUnknown, "clb:CreateLoadBalancer", LoadBalancerType="INTERNAL", VpcId="vpc-00000000"),
    Row(load_balancer.TargetUnknown, lambda p: _target(p, "RegisterTargets", "ins-00000000")),
    Row(
        load_balancer.PortTaken,
        lambda p: ("clb:CreateListener", {"LoadBalancerId": _listener(p)[0], "Ports": [80], "Protocol": "TCP"}),
    ),
    Row(load_balancer.TargetNotFound, lambda p: _target(p, "DeregisterTargets", p.machine())),
    Row(load_balancer.TargetTaken, _registered_twice),
    Row(ddos_list.AlreadyListed, _listed_twice),
    row(ddos_list.NotListed, "antiddos:DeleteDDoSBlackWhiteIpList", **_ips("198.51.100.7")),
    Row(ddos_list.ListFull, _full_list),
    row(parameters.AddressMalformed, "vpc:HaVipAssociateAddressIp", HaVipId="havip-00000000", AddressIp="x"),
    row(parameters.CidrMalformed, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.1/16"),
    row(parameters.FlagMalformed, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16", EnableMulticast="perhaps"),
    row(refusal.MissingParameter, "vpc:CreateVpc", VpcName="v"),
    row(refusal.UnknownParameter, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16", Colour="blue"),
    row(refusal.WrongType, "vpc:CreateVpc", VpcName=7, CidrBlock="10.0.0.0/16"),
    row(refusal.InvalidParameterValue, "vpc:AllocateAddresses", InternetChargeType="FREE"),
    row(refusal.ParameterOutOfRange, "cvm:DescribeInstances", Limit=101),
    row(request_rules.ActionNotEmulated, "vpc:CreateCcn", CcnName="x"),
    row(request_rules.InvalidAction, "vpc:MakeCoffee"),
    row(refusal.WrongType, "cvm:ImportKeyPair", KeyName="k", ProjectId="0", PublicKey=PUBLIC_KEY),
]
