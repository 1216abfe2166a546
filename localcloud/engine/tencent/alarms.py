"""Monitor/alarmNotice, Monitor/alarmPolicy, Monitor/policyBindingObject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from localcloud.engine.tencent.api import Api, ApiError, ignore_missing
from localcloud.engine.tencent.kind import Kind
from localcloud.engine.values import Properties

_PAGE: Final = 200
# The monitor API has short names of its own for regions (terraform-provider-tencentcloud: MonitorRegionMap).
_REGIONS: Final = {
    "ap-guangzhou": "gz",
    "ap-shanghai": "sh",
    "ap-beijing": "bj",
    "ap-chengdu": "cd",
    "ap-chongqing": "cq",
    "ap-nanjing": "nj",
    "ap-hongkong": "hk",
    "ap-singapore": "sg",
}


def _call(api: Api, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return api.call("monitor", action, {"Module": "monitor", **parameters})


def _renamed(values: Mapping[str, Any], names: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {key: values[name] for name, key in names if values.get(name) is not None}


_USER_NOTICE: Final = (
    ("receiverType", "ReceiverType"),
    ("startTime", "StartTime"),
    ("endTime", "EndTime"),
    ("noticeWays", "NoticeWay"),
    ("userIds", "UserIds"),
    ("groupIds", "GroupIds"),
    ("phoneOrders", "PhoneOrder"),
    ("phoneCircleTimes", "PhoneCircleTimes"),
    ("phoneInnerInterval", "PhoneInnerInterval"),
    ("phoneCircleInterval", "PhoneCircleInterval"),
    ("needPhoneArriveNotice", "NeedPhoneArriveNotice"),
    ("phoneCallType", "PhoneCallType"),
    ("weekdays", "Weekday"),
)
_URL_NOTICE: Final = (
    ("url", "URL"),
    ("isValid", "IsValid"),
    ("validationCode", "ValidationCode"),
    ("startTime", "StartTime"),
    ("endTime", "EndTime"),
    ("weekdays", "Weekday"),
)


def _notice(inputs: Properties) -> dict[str, Any]:
    return {
        "Name": inputs.get("name", ""),
        "NoticeType": inputs["noticeType"],
        "NoticeLanguage": inputs["noticeLanguage"],
        "UserNotices": [_renamed(one, _USER_NOTICE) for one in inputs.get("userNotices") or ()] or None,
        "URLNotices": [_renamed(one, _URL_NOTICE) for one in inputs.get("urlNotices") or ()] or None,
    }


def _notices(api: Api, **wanted: Any) -> list[dict[str, Any]]:
    answer = _call(api, "DescribeAlarmNotices", {"PageNumber": 1, "PageSize": _PAGE, "Order": "ASC", **wanted})
    return answer.get("Notices") or []


def _create_notice(api: Api, inputs: Properties, token: str) -> str:
    del token
    return _call(api, "CreateAlarmNotice", _notice(inputs))["NoticeId"]


def _read_notice(api: Api, notice_id: str, inputs: Properties) -> Properties | None:
    del inputs
    found = [one for one in _notices(api, NoticeIds=[notice_id]) if one["Id"] == notice_id]
    if not found:
        return None
    notice = found[0]
    return {
        "name": notice["Name"],
        "noticeType": notice["NoticeType"],
        "noticeLanguage": notice["NoticeLanguage"],
        "isPreset": notice.get("IsPreset") or 0,
        "updatedAt": notice.get("UpdatedAt") or "",
        "updatedBy": notice.get("UpdatedBy") or "",
        "policyIds": notice.get("PolicyIds") or [],
        "ampConsumerId": notice.get("AMPConsumerId") or "",
    }


def _update_notice(api: Api, notice_id: str, old: Properties, new: Properties) -> None:
    del old
    _call(api, "ModifyAlarmNotice", {"NoticeId": notice_id, **_notice(new)})


def _delete_notice(api: Api, notice_id: str, outputs: Properties) -> None:
    del outputs
    ignore_missing(lambda: _call(api, "DeleteAlarmNotices", {"NoticeIds": [notice_id]}))


def _find_notice(api: Api, inputs: Properties) -> list[str]:
    name = inputs.get("name", "")
    return [one["Id"] for one in _notices(api, Name=name) if one["Name"] == name]


ALARM_NOTICE = Kind(
    create=_create_notice,
    read=_read_notice,
    update=_update_notice,
    delete=_delete_notice,
    find=_find_notice,
    required=("noticeType", "noticeLanguage"),
)


_RULE: Final = (
    ("metricName", "MetricName"),
    ("period", "Period"),
    ("operator", "Operator"),
    ("value", "Value"),
    ("continuePeriod", "ContinuePeriod"),
    ("noticeFrequency", "NoticeFrequency"),
    ("isPowerNotice", "IsPowerNotice"),
    ("description", "Description"),
    ("unit", "Unit"),
    ("ruleType", "RuleType"),
)


def _rule(rule: Properties) -> dict[str, Any]:
    renamed = _renamed(rule, _RULE)
    if rule.get("filter"):
        renamed["Filter"] = _renamed(rule["filter"], (("type", "Type"), ("dimensions", "Dimensions")))
    return renamed


def _condition(inputs: Properties) -> dict[str, Any] | None:
    given = inputs.get("conditions")
    if not given:
        return None
    return {"IsUnionRule": given.get("isUnionRule", 0), "Rules": [_rule(one) for one in given.get("rules") or ()]}


def _event_condition(inputs: Properties) -> dict[str, Any] | None:
    given = inputs.get("eventConditions")
    return {"Rules": [_rule(one) for one in given]} if given else None


def _create_policy(api: Api, inputs: Properties, token: str) -> str:
    del token
    answer = _call(
        api,
        "CreateAlarmPolicy",
        {
            "PolicyName": inputs["policyName"],
            "MonitorType": inputs["monitorType"],
            "Namespace": inputs["namespace"],
            "Remark": inputs.get("remark"),
            "Enable": inputs["enable"],
            "ProjectId": inputs["projectId"],
            "ConditionTemplateId": inputs.get("conditonTemplateId"),
            "Condition": _condition(inputs),
            "EventCondition": _event_condition(inputs),
            "NoticeIds": inputs.get("noticeIds"),
        },
    )
    return answer["PolicyId"]


def _read_policy(api: Api, policy_id: str, inputs: Properties) -> Properties | None:
    del inputs
    try:
        policy = _call(api, "DescribeAlarmPolicy", {"PolicyId": policy_id}).get("Policy")
    except ApiError as error:
        if error.missing:
            return None
        raise
    if not policy:
        return None
    return {
        "policyName": policy["PolicyName"],
        "monitorType": policy["MonitorType"],
        "namespace": policy["Namespace"],
        "remark": policy.get("Remark") or "",
        "enable": policy["Enable"],
        "projectId": policy.get("ProjectId") or 0,
        "noticeIds": policy.get("NoticeIds") or [],
        "createTime": str(policy.get("InsertTime") or ""),
        "updateTime": str(policy.get("UpdateTime") or ""),
    }


def _update_policy(api: Api, policy_id: str, old: Properties, new: Properties) -> None:
    for name, key in (("policyName", "NAME"), ("remark", "REMARK")):
        if new.get(name) != old.get(name):
            _call(api, "ModifyAlarmPolicyInfo", {"PolicyId": policy_id, "Key": key, "Value": new.get(name, "")})
    if new["enable"] != old["enable"]:
        _call(api, "ModifyAlarmPolicyStatus", {"PolicyId": policy_id, "Enable": new["enable"]})
    conditions = (_condition(new), _event_condition(new))
    if conditions != (_condition(old), _event_condition(old)):
        _call(
            api,
            "ModifyAlarmPolicyCondition",
            {"PolicyId": policy_id, "Condition": conditions[0], "EventCondition": conditions[1]},
        )
    if new.get("noticeIds") != old.get("noticeIds"):
        _call(api, "ModifyAlarmPolicyNotice", {"PolicyId": policy_id, "NoticeIds": new.get("noticeIds") or []})


def _delete_policy(api: Api, policy_id: str, outputs: Properties) -> None:
    del outputs
    ignore_missing(lambda: _call(api, "DeleteAlarmPolicy", {"PolicyIds": [policy_id]}))


def _find_policy(api: Api, inputs: Properties) -> list[str]:
    name = inputs["policyName"]
    answer = _call(api, "DescribeAlarmPolicies", {"PageNumber": 1, "PageSize": 100, "PolicyName": name})
    return [one["PolicyId"] for one in answer.get("Policies") or [] if one["PolicyName"] == name]


ALARM_POLICY = Kind(
    create=_create_policy,
    read=_read_policy,
    update=_update_policy,
    delete=_delete_policy,
    find=_find_policy,
    required=("policyName", "monitorType", "namespace"),
    replaces=frozenset({"monitorType", "namespace", "projectId", "conditonTemplateId", "policyTags"}),
    defaults={"enable": 1, "projectId": 0},
)


def _bind(api: Api, inputs: Properties, token: str) -> str:
    del token
    dimensions = [
        {
            "Region": _REGIONS.get(one.get("region") or api.region, one.get("region") or api.region),
            "Dimensions": one["dimensionsJson"],
        }
        for one in inputs["dimensions"]
    ]
    _call(api, "BindingPolicyObject", {"GroupId": 0, "PolicyId": inputs["policyId"], "Dimensions": dimensions})
    return inputs["policyId"]


def _bound(api: Api, policy_id: str) -> list[dict[str, Any]]:
    try:
        answer = _call(
            api,
            "DescribeBindingPolicyObjectList",
            {"GroupId": 0, "PolicyId": policy_id, "Limit": 100, "Offset": 0},
        )
    except ApiError as error:
        if error.missing:
            return []
        raise
    return answer.get("List") or []


def _read_binding(api: Api, policy_id: str, inputs: Properties) -> Properties | None:
    found = _bound(api, policy_id)
    if not found:
        return None
    given = {one["dimensionsJson"]: one for one in inputs.get("dimensions") or ()}
    read = [
        {
            "dimensionsJson": one["Dimensions"],
            "uniqueId": one.get("UniqueId") or "",
            "region": given.get(one["Dimensions"], {}).get("region") or api.region,
        }
        for one in found
    ]
    return {"policyId": policy_id, "dimensions": read}


def _unbind(api: Api, policy_id: str, outputs: Properties) -> None:
    del outputs
    ignore_missing(lambda: _call(api, "UnBindingAllPolicyObject", {"GroupId": 0, "PolicyId": policy_id}))


def _find_binding(api: Api, inputs: Properties) -> list[str]:
    return [inputs["policyId"]] if _bound(api, inputs["policyId"]) else []


POLICY_BINDING = Kind(
    create=_bind,
    read=_read_binding,
    delete=_unbind,
    find=_find_binding,
    required=("policyId", "dimensions"),
)
