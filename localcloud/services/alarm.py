"""Alarm policies and the objects that are bound to them (service monitor)."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.rules import alarm, alarm_notice, tag
from localcloud.rules.alarm import AlarmPolicy
from localcloud.rules.records import changed
from localcloud.rules.refusal import InvalidParameterValue
from localcloud.services import alarm_notice as notices
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call
from localcloud.services.listing import page
from localcloud.services.monitor import ACCOUNT, monitor_action, numbered_page
from localcloud.services.parameters import Parameters

# Maximum number of PolicyIds in ModifyAlarmPolicyNotice.
POLICIES_PER_REQUEST = 30
# The service monitor uses different short names for regions.
REGIONS = {"ap-guangzhou": "gz", "ap-shanghai": "sh", "ap-beijing": "bj"}


def _show(call: Call, policy: AlarmPolicy) -> Answer:
    # The provider crashes if Condition or EventCondition is null.
    return {
        "PolicyId": policy.id,
        "PolicyName": policy.name,
        "Remark": policy.remark,
        "MonitorType": policy.monitor_type,
        "Enable": int(policy.enabled),
        "UseSum": len(policy.objects),
        "ProjectId": policy.project_id,
        "Namespace": policy.namespace,
        "Condition": policy.condition or {"IsUnionRule": 0, "Rules": []},
        "EventCondition": policy.event_condition or {"Rules": []},
        "NoticeIds": list(policy.notice_ids),
        "Notices": [notices.show(call, alarm_notice.get(call.tx, notice_id)) for notice_id in policy.notice_ids],
        "LastEditUin": ACCOUNT,
        "UpdateTime": int(policy.updated),
        "InsertTime": int(policy.created),
        "Region": sorted({target.region for target in policy.objects}),
        "NamespaceShowName": policy.namespace,
        "InstanceSum": len(policy.objects),
        "RuleType": "STATIC",
        "OriginId": str(policy.number),
        "Tags": tagging.shown(call, policy.id),
    }


def _flag(value: int) -> bool:
    if value not in {0, 1}:
        raise InvalidParameterValue(name="Enable", value=value, expected="0 or 1")
    return bool(value)


@monitor_action(
    "CreateAlarmPolicy",
    alarm_notice.NameTooLong,
    alarm.PolicyNeedsCondition,
    alarm.MonitorTypeUnknown,
    alarm.RemarkIllegal,
    alarm.ConditionInvalid,
    alarm_notice.NoticeNotFound,
    alarm.TooManyNotices,
    *tag.RULES,
)
def create_alarm_policy(call: Call, given: Parameters) -> Answer:
    """Create an alarm policy."""
    requested = AlarmPolicy(
        name=given.text("PolicyName"),
        remark=given.find_text("Remark") or "",
        monitor_type=given.text("MonitorType"),
        namespace=given.text("Namespace"),
        project_id=given.integer_or("ProjectId", -1),
        enabled=_flag(given.integer_or("Enable", 1)),
        condition=dict(given.inside("Condition").values),
        event_condition=dict(given.inside("EventCondition").values),
        notice_ids=given.texts("NoticeIds"),
    )
    made = alarm.create_policy(call.tx, requested, tagging.given(given))
    return {"PolicyId": made.id, "OriginId": str(made.number)}


@monitor_action("DescribeAlarmPolicy")
def describe_alarm_policy(call: Call, given: Parameters) -> Answer:
    """Return one alarm policy, or null if it does not exist."""
    found = call.tx.find(AlarmPolicy, given.text("PolicyId"))
    return {"Policy": None if found is None else _show(call, found)}


@monitor_action("DescribeAlarmPolicies")
def describe_alarm_policies(call: Call, given: Parameters) -> Answer:
    """List alarm policies."""
    name, namespaces, sent = given.find_text("PolicyName"), given.texts("Namespaces"), set(given.texts("NoticeIds"))
    found = [
        policy
        for policy in call.tx.all(AlarmPolicy)
        if (not name or name in policy.name)
        and (not namespaces or policy.namespace in namespaces)
        and (not sent or sent & set(policy.notice_ids))
    ]
    rows = [_show(call, policy) for policy in numbered_page(given, found, highest=100)]
    return {"TotalCount": len(found), "Policies": rows}


def _change(call: Call, policy_id: str, attributes: Mapping[str, object]) -> None:
    alarm.change_policy(call.tx, changed(alarm.get_policy(call.tx, policy_id), attributes))


@monitor_action("ModifyAlarmPolicyInfo", alarm.PolicyNotFound, alarm_notice.NameTooLong, alarm.RemarkIllegal)
def modify_alarm_policy_info(call: Call, given: Parameters) -> None:
    """Change the name or remark of an alarm policy."""
    attributes = {"NAME": "name", "REMARK": "remark"}
    key, value = given.text("Key"), given.text("Value")
    if key not in attributes:
        raise InvalidParameterValue(name="Key", value=key, expected="NAME or REMARK")
    _change(call, given.text("PolicyId"), {attributes[key]: value})


@monitor_action("ModifyAlarmPolicyStatus", alarm.PolicyNotFound)
def modify_alarm_policy_status(call: Call, given: Parameters) -> None:
    """Enable or disable an alarm policy."""
    _change(call, given.text("PolicyId"), {"enabled": _flag(given.integer("Enable"))})


@monitor_action("ModifyAlarmPolicyCondition", alarm.PolicyNotFound, alarm.PolicyNeedsCondition, alarm.ConditionInvalid)
def modify_alarm_policy_condition(call: Call, given: Parameters) -> None:
    """Change the conditions of an alarm policy."""
    if "Condition" not in given and "EventCondition" not in given:
        raise alarm.PolicyNeedsCondition
    conditions = {"condition": given.find_inside("Condition"), "event_condition": given.find_inside("EventCondition")}
    attributes = {name: dict(one.values) for name, one in conditions.items() if one is not None}
    _change(call, given.text("PolicyId"), attributes)


@monitor_action("ModifyAlarmPolicyNotice", alarm.PolicyNotFound, alarm_notice.NoticeNotFound, alarm.TooManyNotices)
def modify_alarm_policy_notice(call: Call, given: Parameters) -> None:
    """Change the notices that alarm policies send."""
    for policy_id in given.texts("PolicyIds", limit=POLICIES_PER_REQUEST) or (given.text("PolicyId"),):
        _change(call, policy_id, {"notice_ids": given.texts("NoticeIds")})


@monitor_action("DeleteAlarmPolicy", alarm.PolicyNotFound)
def delete_alarm_policy(call: Call, given: Parameters) -> None:
    """Delete alarm policies."""
    alarm.delete_policies(call.tx, given.required_texts("PolicyIds"))


def _policy_of(call: Call, given: Parameters) -> AlarmPolicy:
    """Return the policy of PolicyId, or of GroupId, which is its older number."""
    policy_id, number = given.find_text("PolicyId"), given.find_integer("GroupId")
    if policy_id:
        return alarm.get_policy(call.tx, policy_id)
    for policy in call.tx.all(AlarmPolicy):
        if policy.number == number:
            return policy
    raise alarm.PolicyNotFound(got=number)


@monitor_action("BindingPolicyObject", alarm.PolicyNotFound, alarm.DimensionsInvalid)
def binding_policy_object(call: Call, given: Parameters) -> None:
    """Bind objects to an alarm policy."""
    pairs = tuple(
        (entry.text("Region"), entry.find_text("Dimensions") or entry.find_text("EventDimensions") or "")
        for entry in given.required_each("Dimensions")
    )
    for region, _ in pairs:
        if region not in REGIONS.values():
            raise InvalidParameterValue(name="Region", value=region, expected=f"one of {', '.join(REGIONS.values())}")
    alarm.bind(call.tx, _policy_of(call, given), pairs)


@monitor_action("UnBindingAllPolicyObject", alarm.PolicyNotFound)
def un_binding_all_policy_object(call: Call, given: Parameters) -> None:
    """Unbind all objects in this region from an alarm policy."""
    given.integer("GroupId")
    alarm.unbind_region(call.tx, _policy_of(call, given), REGIONS[call.region])


@monitor_action("DescribeBindingPolicyObjectList", alarm.PolicyNotFound)
def describe_binding_policy_object_list(call: Call, given: Parameters) -> Answer:
    """List the objects in this region that are bound to an alarm policy."""
    given.integer("GroupId")
    found = [target for target in _policy_of(call, given).objects if target.region == REGIONS[call.region]]
    rows = [
        {"UniqueId": target.unique_id, "Dimensions": target.dimensions, "IsShielded": 0, "Region": target.region}
        for target in page(call, found)
    ]
    return {"List": rows, "Total": len(found), "NoShieldedSum": len(found)}


@monitor_action("DescribePolicyObjectCount", alarm.PolicyNotFound)
def describe_policy_object_count(call: Call, given: Parameters) -> Answer:
    """Count the objects that are bound to an alarm policy in each region. Only the real provider calls it."""
    given.integer("GroupId")
    regions = [target.region for target in _policy_of(call, given).objects]
    rows = [{"Region": region, "Count": regions.count(region)} for region in sorted(set(regions))]
    return {"IsMultiRegion": len(rows) > 1, "RegionList": rows}
