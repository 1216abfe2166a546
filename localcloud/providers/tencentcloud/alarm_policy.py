"""Monitor/alarmPolicy, Monitor/policyBindingObject."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from localcloud.providers.errors import ProviderError
from localcloud.providers.schema import COMPUTED, FIXED, OPTIONAL, REQUIRED, Property
from localcloud.providers.tencentcloud.api import Api, deleting
from localcloud.providers.tencentcloud.monitor import MODULE, call, from_api, to_api
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.values import Properties

# The monitor API uses different short names for regions (terraform-provider-tencentcloud: MonitorRegionMap).
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


_FILTER: Final = (("type", "Type"), ("dimensions", "Dimensions"))


def _rule(rule: Properties) -> dict[str, Any]:
    renamed = to_api(rule, _RULE)
    if rule.get("filter"):
        renamed["Filter"] = to_api(rule["filter"], _FILTER)
    return renamed


def _condition(inputs: Properties) -> dict[str, Any] | None:
    given = inputs.get("conditions")
    if not given:
        return None
    return {"IsUnionRule": given.get("isUnionRule", 0), "Rules": [_rule(rule) for rule in given.get("rules") or ()]}


def _event_condition(inputs: Properties) -> dict[str, Any] | None:
    given = inputs.get("eventConditions")
    return {"Rules": [_rule(rule) for rule in given]} if given else None


def _create_policy(api: Api, inputs: Properties, _token: str) -> str:
    answer = call(
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


def _read_policy(api: Api, policy_id: str, _inputs: Properties) -> Properties | None:
    response = api.find_response("monitor", "DescribeAlarmPolicy", {**MODULE, "PolicyId": policy_id})
    policy = response.get("Policy")
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
        "conditions": {
            "isUnionRule": policy["Condition"].get("IsUnionRule") or 0,
            "rules": [_read_rule(rule) for rule in policy["Condition"].get("Rules") or ()],
        },
        "eventConditions": [_read_rule(rule) for rule in policy["EventCondition"].get("Rules") or ()],
        "createTime": _time(policy.get("InsertTime")),
        "updateTime": _time(policy.get("UpdateTime")),
    }


def _read_rule(rule: Mapping[str, Any]) -> Properties:
    found = from_api(rule, _RULE)
    given = from_api(rule.get("Filter") or {}, _FILTER)
    return {**found, "filter": given} if given else found


def _time(seconds: int | None) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S") if seconds else ""


def _update_policy(api: Api, policy_id: str, old: Properties, new: Properties) -> None:
    for name, key in (("policyName", "NAME"), ("remark", "REMARK")):
        if new.get(name) != old.get(name):
            call(api, "ModifyAlarmPolicyInfo", {"PolicyId": policy_id, "Key": key, "Value": new.get(name, "")})
    if new["enable"] != old["enable"]:
        call(api, "ModifyAlarmPolicyStatus", {"PolicyId": policy_id, "Enable": new["enable"]})
    conditions = (_condition(new), _event_condition(new))
    if conditions != (_condition(old), _event_condition(old)):
        call(
            api,
            "ModifyAlarmPolicyCondition",
            {"PolicyId": policy_id, "Condition": conditions[0], "EventCondition": conditions[1]},
        )
    if new.get("noticeIds") != old.get("noticeIds"):
        call(api, "ModifyAlarmPolicyNotice", {"PolicyId": policy_id, "NoticeIds": new.get("noticeIds") or []})


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
    create=_create_policy,
    read=_read_policy,
    update=_update_policy,
    delete=deleting("monitor", "DeleteAlarmPolicy", lambda policy_id: {**MODULE, "PolicyIds": [policy_id]}),
)


def _bind(api: Api, inputs: Properties, _token: str) -> str:
    dimensions = [
        {
            "Region": _REGIONS.get(dimension.get("region") or api.region, dimension.get("region") or api.region),
            "Dimensions": dimension["dimensionsJson"],
        }
        for dimension in inputs["dimensions"]
    ]
    call(api, "BindingPolicyObject", {"GroupId": 0, "PolicyId": inputs["policyId"], "Dimensions": dimensions})
    return inputs["policyId"]


def _read_binding(api: Api, policy_id: str, inputs: Properties) -> Properties | None:
    """Return the binding. As in the real provider, a missing policy is an error; missing objects are an empty list."""
    if _read_policy(api, policy_id, {}) is None:
        raise ProviderError(f"alarm policy {policy_id} does not exist")
    found = call(
        api, "DescribeBindingPolicyObjectList", {"GroupId": 0, "PolicyId": policy_id, "Limit": 100, "Offset": 0}
    )
    given = {dimension["dimensionsJson"]: dimension for dimension in inputs.get("dimensions") or ()}
    read = [
        {
            "dimensionsJson": target["Dimensions"],
            "uniqueId": target.get("UniqueId") or "",
            "region": given.get(target["Dimensions"], {}).get("region") or api.region,
        }
        for target in found.get("List") or []
    ]
    return {"policyId": policy_id, "dimensions": read}


POLICY_BINDING = ResourceType(
    properties={
        "policyId": FIXED,
        "dimensions": Property(required=True, replaces=True, nested={"dimensionsJson": REQUIRED, "region": COMPUTED}),
    },
    create=_bind,
    read=_read_binding,
    delete=deleting(
        "monitor", "UnBindingAllPolicyObject", lambda policy_id: {**MODULE, "GroupId": 0, "PolicyId": policy_id}
    ),
)
