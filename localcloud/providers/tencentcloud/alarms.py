"""Monitor/alarmNotice, Monitor/alarmPolicy, Monitor/policyBindingObject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from localcloud.providers.errors import ProviderError
from localcloud.providers.schema import COMPUTED, FIXED, OPTIONAL, REQUIRED, Property, Schema
from localcloud.providers.tencentcloud.api import Api, ApiError, ignore_missing
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.values import Properties

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


ALARM_NOTICE = ResourceType(
    schema=Schema(
        properties={
            "name": REQUIRED,
            "noticeType": REQUIRED,
            "noticeLanguage": REQUIRED,
            "userNotices": Property(nested={name: OPTIONAL for name, _ in _USER_NOTICE}),
            "urlNotices": Property(nested={name: OPTIONAL for name, _ in _URL_NOTICE}),
        },
    ),
    create=_create_notice,
    read=_read_notice,
    update=_update_notice,
    delete=_delete_notice,
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


_RULE_PROPERTIES: Final = {
    **dict.fromkeys(("metricName", "period", "operator", "value"), OPTIONAL),
    **dict.fromkeys(
        ("continuePeriod", "noticeFrequency", "isPowerNotice", "description", "unit", "ruleType"), COMPUTED
    ),
    "filter": Property(nested={"type": OPTIONAL, "dimensions": OPTIONAL}),
}
_CONDITIONS: Final = Property(
    computed=True, nested={"isUnionRule": OPTIONAL, "rules": Property(nested=_RULE_PROPERTIES)}
)

ALARM_POLICY = ResourceType(
    schema=Schema(
        properties={
            "policyName": REQUIRED,
            "monitorType": FIXED,
            "namespace": FIXED,
            "remark": OPTIONAL,
            "enable": Property(default=1),
            "projectId": Property(replaces=True, default=-1),
            "conditonTemplateId": Property(replaces=True),
            "conditions": _CONDITIONS,
            "eventConditions": Property(computed=True, nested=_RULE_PROPERTIES),
            "noticeIds": OPTIONAL,
        },
    ),
    create=_create_policy,
    read=_read_policy,
    update=_update_policy,
    delete=_delete_policy,
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


def _read_binding(api: Api, policy_id: str, inputs: Properties) -> Properties | None:
    """As the real provider's, it is never gone: without its policy it is an error, without objects it is empty."""
    if _read_policy(api, policy_id, {}) is None:
        raise ProviderError(f"alarm policy {policy_id} does not exist")
    found = _call(
        api, "DescribeBindingPolicyObjectList", {"GroupId": 0, "PolicyId": policy_id, "Limit": 100, "Offset": 0}
    )
    given = {one["dimensionsJson"]: one for one in inputs.get("dimensions") or ()}
    read = [
        {
            "dimensionsJson": one["Dimensions"],
            "uniqueId": one.get("UniqueId") or "",
            "region": given.get(one["Dimensions"], {}).get("region") or api.region,
        }
        for one in found.get("List") or []
    ]
    return {"policyId": policy_id, "dimensions": read}


def _unbind(api: Api, policy_id: str, outputs: Properties) -> None:
    del outputs
    ignore_missing(lambda: _call(api, "UnBindingAllPolicyObject", {"GroupId": 0, "PolicyId": policy_id}))


POLICY_BINDING = ResourceType(
    schema=Schema(
        properties={
            "policyId": FIXED,
            "dimensions": Property(
                required=True, replaces=True, nested={"dimensionsJson": REQUIRED, "region": COMPUTED}
            ),
        },
    ),
    create=_bind,
    read=_read_binding,
    delete=_unbind,
)
