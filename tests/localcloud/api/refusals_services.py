"""Requests that violate the rules of tags, alarms and DNS."""

from __future__ import annotations

import json
from typing import Any

from localcloud.rules import alarm, alarm_notice, dns, refusal, tag
from localcloud.services import dns as names
from localcloud.services import monitor
from localcloud.services import tag as tagging
from tests.localcloud.api.place import Place
from tests.localcloud.api.refused import Request, Row, row

_VPCS = {"ServiceType": "vpc", "ResourcePrefix": "vpc", "ResourceRegion": "ap-guangzhou"}
_MONITOR = {"Module": "monitor"}
_RULE: dict[str, Any] = {"MetricName": "CpuUsage", "Operator": "gt", "Value": "90"}
_CONDITION = {"IsUnionRule": 0, "Rules": [_RULE]}


def _tag(place: Place, resource: str = "", **change: Any) -> Request:
    resource = resource or f"qcs::vpc:ap-guangzhou:uin/:vpc/{place.vpc_id}"
    return "tag:ModifyResourceTags", {"Resource": resource, **change}


def _one_tag(place: Place, key: str, value: str = "x") -> Request:
    return _tag(place, ReplaceTags=[{"TagKey": key, "TagValue": value}])


def _fifty_tags(place: Place) -> Request:
    for ten in range(5):
        many = [{"TagKey": f"key{ten}{number}", "TagValue": "x"} for number in range(10)]
        target, given = _tag(place, ReplaceTags=many)
        place.call(target, **given)
    return _one_tag(place, "one more")


def _notice(place: Place) -> str:
    made = place.call("monitor:CreateAlarmNotice", **_MONITOR, Name="notice", NoticeType="ALL", NoticeLanguage="en-US")
    return made["NoticeId"]


def _policy(**given: Any) -> Request:
    request = {"PolicyName": "cpu", "MonitorType": "MT_QCE", "Namespace": "cvm_device", "Condition": _CONDITION}
    return "monitor:CreateAlarmPolicy", _MONITOR | request | given


def _notice_request(**given: Any) -> Request:
    request = {"Name": "notice", "NoticeType": "ALL", "NoticeLanguage": "en-US"}
    return "monitor:CreateAlarmNotice", _MONITOR | request | given


_USER: dict[str, Any] = {
    "ReceiverType": "USER",
    "StartTime": 0,
    "EndTime": 86399,
    "NoticeWay": ["EMAIL"],
    "UserIds": [1],
}
_URL = {"URL": "https://example.com/alarm", "StartTime": 0, "EndTime": 86399}
_WRONG_NOTICES: tuple[dict[str, Any], ...] = (
    {"NoticeLanguage": "fr-FR"},
    {"UserNotices": [_USER] * 6},
    {"URLNotices": [_URL] * 7},
    {"UserNotices": [_USER | {"ReceiverType": "ROBOT"}]},
    {"UserNotices": [_USER | {"NoticeWay": ["PIGEON"]}]},
    {"UserNotices": [_USER | {"EndTime": 86400}]},
    {"UserNotices": [_USER | {"PhoneCircleTimes": 6}]},
    {"UserNotices": [_USER | {"PhoneInnerInterval": 30}]},
    {"UserNotices": [_USER | {"PhoneCallType": "ALL"}]},
    {"URLNotices": [_URL | {"Weekday": [0]}]},
    {"URLNotices": [_URL | {"URL": "ftp://example.com/"}]},
    {"URLNotices": [_URL | {"URL": "https://example.com/" + "x" * 240}]},
)


def _four_notices(place: Place) -> Request:
    notices: list[str] = []
    for number in range(4):
        target, given = _notice_request(Name=f"notice-{number}")
        notices.append(place.call(target, **given)["NoticeId"])
    return _policy(NoticeIds=notices)


def _binding(place: Place, dimensions: str) -> Request:
    target, given = _policy()
    policy_id = place.call(target, **given)["PolicyId"]
    bound = [{"Region": "gz", "Dimensions": dimensions}]
    return "monitor:BindingPolicyObject", _MONITOR | {"PolicyId": policy_id, "GroupId": 0, "Dimensions": bound}


def _binding_without_objects(place: Place) -> Request:
    target, given = _binding(place, "")
    return target, given | {"Dimensions": []}


def _sent_notice(place: Place) -> Request:
    notice_id = _notice(place)
    target, given = _policy(NoticeIds=[notice_id])
    place.call(target, **given)
    return "monitor:DeleteAlarmNotices", _MONITOR | {"NoticeIds": [notice_id]}


def _record(**given: Any) -> Request:
    request = {"Domain": "example.com", "RecordType": "A", "RecordLine": "默认", "Value": "203.0.113.10"}
    return "dnspod:CreateRecord", request | given


def _third_record(place: Place) -> Request:
    for number in (1, 2):
        target, given = _record(Value=f"203.0.113.{number}")
        place.call(target, **given)
    return _record(Value="203.0.113.3")


def _record_twice(place: Place) -> Request:
    target, given = _record(SubDomain="www")
    place.call(target, **given)
    return target, given


def _second_record_with_cname(place: Place) -> Request:
    target, given = _record(SubDomain="www", RecordType="CNAME", Value="example.net")
    place.call(target, **given)
    return _record(SubDomain="www")


ROWS = [
    Row(tagging.ResourceDescriptionInvalid, lambda p: _tag(p, "vpc-1", DeleteTags=[{"TagKey": "x"}])),
    Row(
        tagging.ResourceDescriptionInvalid,
        lambda p: _tag(p, "qcs::moon:ap-guangzhou:uin/:rock/1", DeleteTags=[{"TagKey": "x"}]),
    ),
    Row(
        tagging.ResourceUnknown,
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
    Row(tag.TagKeyReserved, lambda p: _one_tag(p, "project-x")),
    Row(tag.TagKeyReserved, lambda p: _one_tag(p, "项目名")),
    Row(tag.TagKeyReserved, lambda p: _one_tag(p, "qcs:x")),
    *(Row(tag.TagKeyIllegal, lambda p, key=key: _one_tag(p, key)) for key in (" a", "a ", " ", "a*b", "a\tb", "é")),
    *(Row(tag.TagValueIllegal, lambda p, value=value: _one_tag(p, "a", value)) for value in (" a", "a\n", "a!b")),
    Row(tag.TagValueEmpty, lambda p: _one_tag(p, "a", "")),
    Row(
        tagging.TooManyTagsInRequest,
        lambda p: _tag(p, ReplaceTags=[{"TagKey": f"k{number}", "TagValue": "x"} for number in range(11)]),
    ),
    Row(
        tagging.TooManyTagsInRequest,
        lambda p: _tag(p, DeleteTags=[{"TagKey": f"k{number}"} for number in range(11)]),
    ),
    row(
        refusal.TooManyValues,
        "tag:DescribeResourceTagsByResourceIds",
        **_VPCS,
        ResourceIds=["vpc-00000000"] * 51,
    ),
    row(
        refusal.InvalidParameterValue,
        "tag:DescribeResourceTagsByResourceIds",
        **_VPCS,
        ResourceIds=["vpc-00000000"],
        Offset=5,
        Limit=20,
    ),
    Row(tag.TooManyTags, _fifty_tags),
    row(monitor.ModuleUnknown, "monitor:DescribeAlarmPolicy", Module="moon", PolicyId="policy-00000000"),
    row(alarm.PolicyNotFound, "monitor:DeleteAlarmPolicy", **_MONITOR, PolicyIds=["policy-00000000"]),
    row(alarm_notice.NoticeNotFound, "monitor:DeleteAlarmNotices", **_MONITOR, NoticeIds=["notice-00000000"]),
    Row(alarm.NoticeInUse, _sent_notice),
    Row(alarm_notice.NameTooLong, lambda _: _policy(PolicyName="x" * 61)),
    Row(alarm.PolicyNeedsCondition, lambda _: _policy(Condition=None)),
    Row(alarm.MonitorTypeUnknown, lambda _: _policy(MonitorType="MT_CUSTOM")),
    Row(alarm.RemarkIllegal, lambda _: _policy(Remark="two words")),
    Row(alarm.RemarkIllegal, lambda _: _policy(Remark="备" * 101)),
    Row(alarm.ConditionInvalid, lambda _: _policy(Condition={"IsUnionRule": 3, "Rules": [_RULE]})),
    Row(alarm.ConditionInvalid, lambda _: _policy(Condition={"IsUnionRule": 0, "Rules": []})),
    *(
        Row(alarm.ConditionInvalid, lambda _, wrong=wrong: _policy(Condition={"Rules": [_RULE | wrong]}))
        for wrong in ({"Operator": ">"}, {"NoticeFrequency": 60}, {"IsPowerNotice": 2}, {"RuleType": "FIXED"})
    ),
    Row(alarm.TooManyNotices, _four_notices),
    *(Row(alarm_notice.ReceiversInvalid, lambda _, wrong=wrong: _notice_request(**wrong)) for wrong in _WRONG_NOTICES),
    *(
        Row(alarm.DimensionsInvalid, lambda p, text=text: _binding(p, text))
        for text in ("ins-1", "[]", json.dumps({"eip": "203.0.113.10"}), json.dumps({"unInstanceId": "x", "eip": "y"}))
    ),
    Row(refusal.MissingParameter, _binding_without_objects),
    row(refusal.ParameterOutOfRange, "monitor:DescribeAlarmPolicies", **_MONITOR, PageSize=101),
    Row(dns.DomainNotFound, lambda _: _record(Domain="example.net")),
    row(dns.DomainInvalid, "dnspod:CreateDomain", Domain="nodots"),
    row(dns.DomainExists, "dnspod:CreateDomain", Domain="example.com"),
    row(dns.RecordNotFound, "dnspod:DeleteRecord", Domain="example.com", RecordId=7),
    Row(dns.RecordExists, _record_twice),
    Row(dns.RecordConflict, _second_record_with_cname),
    Row(dns.TooManyLevels, lambda _: _record(SubDomain="a.b.c.d")),
    Row(dns.RecordTypeInvalid, lambda _: _record(RecordType="B")),
    Row(dns.RecordLineInvalid, lambda _: _record(RecordLine="月球")),
    Row(dns.RecordLineInvalid, lambda _: _record(RecordLine="default")),
    Row(dns.RecordLineInvalid, lambda _: _record(RecordLineId="10=1")),
    Row(dns.RecordTypeInvalid, lambda _: _record(RecordType="a")),
    Row(dns.TooManyRecords, _third_record),
    Row(dns.WeightInvalid, lambda _: _record(Weight=101)),
    Row(dns.RemarkTooLong, lambda _: _record(Remark="x" * 201)),
    Row(dns.MxInvalid, lambda _: _record(RecordType="MX", Value="mail.example.com.")),
    Row(dns.RecordValueInvalid, lambda _: _record(Value="203.0.113")),
    Row(dns.SubdomainInvalid, lambda _: _record(SubDomain="-x")),
    *(Row(dns.TtlOutOfRange, lambda _, ttl=ttl: _record(TTL=ttl)) for ttl in (0, 599, 604_801)),
    Row(dns.MxInvalid, lambda _: _record(RecordType="MX", Value="mail.example.com", MX=70000)),
    row(names.NoRecords, "dnspod:DescribeRecordList", Domain="example.com"),
]
