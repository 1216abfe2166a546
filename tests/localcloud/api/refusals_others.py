"""What the rules of tags, alarms, DNS, load balancers and lists refuse, and those of all actions."""

from __future__ import annotations

from typing import Any

from localcloud.api import request_rules
from localcloud.rules import alarm, ddos_list, dns, load_balancer, refusal, tag
from localcloud.services import dns as names
from localcloud.services import parameters
from localcloud.services import tag as tagging
from tests.localcloud.api.lab import PUBLIC_KEY
from tests.localcloud.api.place import Place
from tests.localcloud.api.refused import Request, Row, row

_MONITOR = {"Module": "monitor"}
_CONDITION = {"IsUnionRule": 0, "Rules": [{"MetricName": "CpuUsage", "Operator": "gt", "Value": "90"}]}


def _tag(place: Place, resource: str = "", **change: Any) -> Request:
    resource = resource or f"qcs::vpc:ap-guangzhou:uin/:vpc/{place.vpc_id}"
    return "tag:ModifyResourceTags", {"Resource": resource, **change}


def _one_tag(place: Place, key: str, value: str = "x") -> Request:
    return _tag(place, ReplaceTags=[{"TagKey": key, "TagValue": value}])


def _fifty_tags(place: Place) -> Request:
    many = [{"TagKey": f"key{number}", "TagValue": "x"} for number in range(50)]
    target, given = _tag(place, ReplaceTags=many)
    place.call(target, **given)
    return _one_tag(place, "one more")


def _notice(place: Place) -> str:
    made = place.call("monitor:CreateAlarmNotice", **_MONITOR, Name="notice", NoticeType="ALL", NoticeLanguage="en-US")
    return made["NoticeId"]


def _policy(**given: Any) -> Request:
    wanted = {"PolicyName": "cpu", "MonitorType": "MT_QCE", "Namespace": "cvm_device", "Condition": _CONDITION}
    return "monitor:CreateAlarmPolicy", _MONITOR | wanted | given


def _sent_notice(place: Place) -> Request:
    notice_id = _notice(place)
    target, given = _policy(NoticeIds=[notice_id])
    place.call(target, **given)
    return "monitor:DeleteAlarmNotices", _MONITOR | {"NoticeIds": [notice_id]}


def _record(**given: Any) -> Request:
    wanted = {"Domain": "example.com", "RecordType": "A", "RecordLine": "默认", "Value": "203.0.113.10"}
    return "dnspod:CreateRecord", wanted | given


def _record_twice(place: Place) -> Request:
    target, given = _record(SubDomain="www")
    place.call(target, **given)
    return target, given


def _beside_a_cname(place: Place) -> Request:
    target, given = _record(SubDomain="www", RecordType="CNAME", Value="example.net")
    place.call(target, **given)
    return _record(SubDomain="www")


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
    Row(tagging.ResourceDescriptionWrong, lambda p: _tag(p, "vpc-1", DeleteTags=[{"TagKey": "x"}])),
    Row(
        tagging.ServiceTypeUnknown,
        lambda p: _tag(p, "qcs::moon:ap-guangzhou:uin/:rock/1", DeleteTags=[{"TagKey": "x"}]),
    ),
    Row(
        tagging.ResourceIdWrong,
        lambda p: _tag(p, "qcs::vpc:ap-guangzhou:uin/:vpc/vpc-00000000", DeleteTags=[{"TagKey": "x"}]),
    ),
    Row(tagging.NothingToChange, lambda p: _tag(p, ReplaceTags=[])),
    Row(
        tagging.TagBothSetAndRemoved,
        lambda p: _tag(p, ReplaceTags=[{"TagKey": "x", "TagValue": "y"}], DeleteTags=[{"TagKey": "x"}]),
    ),
    Row(tag.TagKeyEmpty, lambda p: _one_tag(p, "")),
    Row(tag.TagKeyTooLong, lambda p: _one_tag(p, "x" * 128)),
    Row(tag.TagValueTooLong, lambda p: _one_tag(p, "x", "y" * 256)),
    Row(tag.TagKeyReserved, lambda p: _one_tag(p, "qcloud")),
    Row(tag.TooManyTags, _fifty_tags),
    row(alarm.ModuleUnknown, "monitor:DescribeAlarmPolicy", Module="moon", PolicyId="policy-00000000"),
    row(alarm.PolicyNotFound, "monitor:DeleteAlarmPolicy", **_MONITOR, PolicyIds=["policy-00000000"]),
    row(alarm.NoticeNotFound, "monitor:DeleteAlarmNotices", **_MONITOR, NoticeIds=["notice-00000000"]),
    Row(alarm.NoticeInUse, _sent_notice),
    Row(alarm.NameTooLong, lambda _: _policy(PolicyName="x" * 61)),
    Row(alarm.PolicyNeedsCondition, lambda _: _policy(Condition=None)),
    Row(dns.DomainNotFound, lambda _: _record(Domain="example.net")),
    row(dns.DomainInvalid, "dnspod:CreateDomain", Domain="nodots"),
    row(dns.DomainExists, "dnspod:CreateDomain", Domain="example.com"),
    row(dns.RecordNotFound, "dnspod:DeleteRecord", Domain="example.com", RecordId=7),
    Row(dns.RecordExists, _record_twice),
    Row(dns.RecordConflict, _beside_a_cname),
    Row(dns.RecordTypeInvalid, lambda _: _record(RecordType="B")),
    Row(dns.RecordLineInvalid, lambda _: _record(RecordLine="月球")),
    Row(dns.RecordValueInvalid, lambda _: _record(Value="203.0.113")),
    Row(dns.SubdomainInvalid, lambda _: _record(SubDomain="-x")),
    Row(dns.TtlOutOfRange, lambda _: _record(TTL=0)),
    Row(dns.MxInvalid, lambda _: _record(RecordType="MX", Value="mail.example.com", MX=70000)),
    row(names.NoRecords, "dnspod:DescribeRecordList", Domain="example.com"),
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
    row(refusal.IdMalformed, "vpc:DeleteVpc", VpcId="vpc-1"),
    row(refusal.IdMalformed, "vpc:DeleteVpc", VpcId="VPC-00000000"),
    row(refusal.TooManyValues, "vpc:DescribeVpcs", VpcIds=[f"vpc-{number:08}" for number in range(101)]),
    row(
        refusal.TooManyValues,
        "vpc:DescribeHaVips",
        Filters=[{"Name": "vip", "Values": [f"10.0.4.{n}" for n in range(6)]}],
    ),
    row(refusal.TooManyValues, "vpc:DescribeVpcs", Filters=[{"Name": "vpc-id", "Values": ["x"]}] * 11),
    row(parameters.AddressMalformed, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16", DnsServers=["x"]),
    row(refusal.ParameterOutOfRange, "cvm:DescribeInstances", Limit=101),
    row(request_rules.ActionNotEmulated, "vpc:CreateCcn", CcnName="x"),
    row(request_rules.InvalidAction, "vpc:MakeCoffee"),
    row(refusal.WrongType, "cvm:ImportKeyPair", KeyName="k", ProjectId="0", PublicKey=PUBLIC_KEY),
]
