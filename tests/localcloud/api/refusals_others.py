"""Requests that violate the rules of load balancers, of lists, and of all actions."""

from __future__ import annotations

from localcloud.api import request_rules
from localcloud.rules import load_balancer, refusal
from localcloud.services import parameters
from tests.localcloud.api.lab import PUBLIC_KEY
from tests.localcloud.api.place import Place
from tests.localcloud.api.refused import Request, Row, row


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


ROWS = [
    row(load_balancer.LoadBalancerNotFound, "clb:DeleteLoadBalancer", LoadBalancerIds=["lb-00000000"]),
    Row(
        load_balancer.ListenerNotFound,
        lambda p: ("clb:DeleteListener", {"LoadBalancerId": _balancer(p), "ListenerId": "lbl-00000000"}),
    ),
    row(load_balancer.LoadBalancerTypeNotEmulated, "clb:CreateLoadBalancer", LoadBalancerType="OPEN"),
    row(load_balancer.SubnetUnknown, "clb:CreateLoadBalancer", LoadBalancerType="INTERNAL", VpcId="vpc-00000000"),
    Row(load_balancer.TargetUnknown, lambda p: _target(p, "RegisterTargets", "ins-00000000")),
    Row(
        load_balancer.PortInUse,
        lambda p: ("clb:CreateListener", {"LoadBalancerId": _listener(p)[0], "Ports": [80], "Protocol": "TCP"}),
    ),
    Row(load_balancer.TargetNotFound, lambda p: _target(p, "DeregisterTargets", p.machine())),
    Row(load_balancer.TargetAlreadyRegistered, _registered_twice),
    row(parameters.AddressMalformed, "vpc:HaVipAssociateAddressIp", HaVipId="havip-00000000", AddressIp="x"),
    row(parameters.CidrMalformed, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.1/16"),
    row(parameters.FlagMalformed, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16", EnableMulticast="perhaps"),
    row(refusal.MissingParameter, "vpc:CreateVpc", VpcName="v"),
    row(refusal.UnknownParameter, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16", Colour="blue"),
    row(refusal.WrongType, "vpc:CreateVpc", VpcName=7, CidrBlock="10.0.0.0/16"),
    row(refusal.InvalidParameterValue, "vpc:AllocateAddresses", InternetChargeType="FREE"),
    row(refusal.IdMalformed, "vpc:DeleteVpc", VpcId="vpc-1"),
    row(refusal.IdMalformed, "vpc:DeleteVpc", VpcId="VPC-00000000"),
    row(refusal.TooManyValues, "vpc:DescribeVpcs", VpcIds=[f"vpc-{number:08}" for number in range(101)]),
    row(
        refusal.TooManyValues,
        "vpc:DescribeHaVips",
        Filters=[{"Name": "vip", "Values": [f"10.0.4.{number}" for number in range(6)]}],
    ),
    row(refusal.TooManyValues, "vpc:DescribeVpcs", Filters=[{"Name": "vpc-id", "Values": ["x"]}] * 11),
    row(parameters.AddressMalformed, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16", DnsServers=["x"]),
    row(refusal.ParameterOutOfRange, "cvm:DescribeInstances", Limit=101),
    row(request_rules.ParameterNotEmulated, "vpc:AllocateAddresses", AntiDDoSPackageId="bgp-000001"),
    row(request_rules.ActionNotEmulated, "vpc:CreateCcn", CcnName="x"),
    row(request_rules.InvalidAction, "vpc:MakeCoffee"),
    row(refusal.WrongType, "cvm:ImportKeyPair", KeyName="k", ProjectId="0", PublicKey=PUBLIC_KEY),
]
