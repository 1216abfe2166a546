"""Alarm policies, notices and bindings (service monitor)."""

from __future__ import annotations

from typing import Any

from localcloud.rules import alarm, alarm_notice, tag
from localcloud.rules.alarm import AlarmPolicy
from localcloud.rules.alarm_notice import AlarmNotice
from localcloud.rules.records import beijing_time
from localcloud.rules.refusal import InvalidParameterValue
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import page
from localcloud.services.sts import ACCOUNT

# Maximum number of PolicyIds in ModifyAlarmPolicyNotice.
POLICIES_PER_REQUEST = 30
# The service monitor uses different short names for regions.
REGIONS = {"ap-guangzhou": "gz", "ap-shanghai": "sh", "ap-beijing": "bj"}


def _check_module(call: Call) -> None:
    module = call.parameters.text("Module")
    if module != "monitor":
        raise alarm.ModuleUnknown(module=module)


def _page(call: Call, found: list[Any]) -> list[Any]:
    number = call.parameters.integer_in("PageNumber", 1, 2**31, default=1)
    size = call.parameters.integer_in("PageSize", 1, 200, default=20)
    return found[(number - 1) * size : number * size]


def _show_notice(call: Call, notice: AlarmNotice) -> Answer:
    return {
        "Id": notice.id,
        "Name": notice.name,
        "UpdatedAt": beijing_time(notice.updated),
        "UpdatedBy": ACCOUNT,
        "NoticeType": notice.type,
        "UserNotices": list(notice.users),
        "URLNotices": list(notice.urls),
        "NoticeLanguage": notice.language,
        "PolicyIds": alarm.senders(call.tx, notice.id),
        "CLSNotices": list(notice.logs),
        "Tags": tagging.shown(call, notice.id),
    }


def _notice(call: Call, notice_id: str) -> AlarmNotice:
    given = call.parameters
    kind = given.text("NoticeType")
    if kind not in {"ALARM", "OK", "ALL"}:
        raise InvalidParameterValue(name="NoticeType", value=kind, expected="ALARM, OK or ALL")
    return AlarmNotice(
        id=notice_id,
        region="",
        created=0.0,
        updated=0.0,
        name=given.text("Name"),
        type=kind,
        language=given.text("NoticeLanguage"),
        users=tuple(dict(entry.values) for entry in given.each("UserNotices")),
        urls=tuple(dict(entry.values) for entry in given.each("URLNotices")),
        logs=tuple(dict(entry.values) for entry in given.each("CLSNotices")),
    )


@action(
    "monitor",
    "CreateAlarmNotice",
    alarm.ModuleUnknown,
    alarm_notice.NameTooLong,
    alarm_notice.ReceiversInvalid,
    *tag.RULES,
)
def create_alarm_notice(call: Call) -> Answer:
    """Create a notice."""
    _check_module(call)
    return {"NoticeId": alarm_notice.create(call.tx, _notice(call, ""), tagging.given(call.parameters)).id}


@action("monitor", "DescribeAlarmNotices", alarm.ModuleUnknown)
def describe_alarm_notices(call: Call) -> Answer:
    """List notices."""
    _check_module(call)
    given = call.parameters
    order, requested, name = given.text("Order"), given.texts("NoticeIds"), given.find_text("Name")
    given.integer("PageNumber")
    given.integer("PageSize")
    found = [
        one
        for one in call.tx.all(AlarmNotice)
        if (not requested or one.id in requested) and (not name or name in one.name)
    ]
    found.sort(key=lambda one: one.updated, reverse=order.upper() == "DESC")
    return {"TotalCount": len(found), "Notices": [_show_notice(call, one) for one in _page(call, found)]}


@action(
    "monitor",
    "ModifyAlarmNotice",
    alarm.ModuleUnknown,
    alarm_notice.NoticeNotFound,
    alarm_notice.NameTooLong,
    alarm_notice.ReceiversInvalid,
)
def modify_alarm_notice(call: Call) -> Answer:
    """Replace all attributes of a notice."""
    _check_module(call)
    alarm_notice.change(call.tx, _notice(call, call.parameters.text("NoticeId")))
    return {}


@action("monitor", "DeleteAlarmNotices", alarm.ModuleUnknown, alarm_notice.NoticeNotFound, alarm.NoticeInUse)
def delete_alarm_notices(call: Call) -> Answer:
    """Delete unused notices."""
    _check_module(call)
    alarm.delete_notices(call.tx, call.parameters.required_texts("NoticeIds"))
    return {}


def _show_policy(call: Call, policy: AlarmPolicy) -> Answer:
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
        "Notices": [_show_notice(call, alarm_notice.get(call.tx, notice_id)) for notice_id in policy.notice_ids],
        "TriggerTasks": list(policy.trigger_tasks),
        "LastEditUin": ACCOUNT,
        "UpdateTime": int(policy.updated),
        "InsertTime": int(policy.created),
        "Region": sorted({one.region for one in policy.objects}),
        "NamespaceShowName": policy.namespace,
        "InstanceSum": len(policy.objects),
        "RuleType": "STATIC",
        "OriginId": str(policy.number),
        "Tags": tagging.shown(call, policy.id),
    }


def _flag(value: int | None, default: int) -> bool:
    value = default if value is None else value
    if value not in {0, 1}:
        raise InvalidParameterValue(name="Enable", value=value, expected="0 or 1")
    return bool(value)


@action(
    "monitor",
    "CreateAlarmPolicy",
    alarm.ModuleUnknown,
    alarm_notice.NameTooLong,
    alarm.PolicyNeedsCondition,
    alarm.MonitorTypeUnknown,
    alarm.RemarkIllegal,
    alarm.ConditionInvalid,
    alarm_notice.NoticeNotFound,
    alarm.TooManyNotices,
    *tag.RULES,
)
def create_alarm_policy(call: Call) -> Answer:
    """Create an alarm policy."""
    _check_module(call)
    given = call.parameters
    project = given.find_integer("ProjectId")
    requested = AlarmPolicy(
        id="",
        region="",
        created=0.0,
        updated=0.0,
        number=0,
        name=given.text("PolicyName"),
        remark=given.find_text("Remark") or "",
        monitor_type=given.text("MonitorType"),
        namespace=given.text("Namespace"),
        project_id=-1 if project is None else project,
        enabled=_flag(given.find_integer("Enable"), 1),
        condition=dict(given.inside("Condition").values),
        event_condition=dict(given.inside("EventCondition").values),
        notice_ids=given.texts("NoticeIds"),
        trigger_tasks=tuple(dict(entry.values) for entry in given.each("TriggerTasks")),
    )
    made = alarm.create_policy(call.tx, requested, tagging.given(given))
    return {"PolicyId": made.id, "OriginId": str(made.number)}


@action("monitor", "DescribeAlarmPolicy", alarm.ModuleUnknown)
def describe_alarm_policy(call: Call) -> Answer:
    """Return one alarm policy, or null if it does not exist."""
    _check_module(call)
    found = call.tx.find(AlarmPolicy, call.parameters.text("PolicyId"))
    return {"Policy": None if found is None else _show_policy(call, found)}


@action("monitor", "DescribeAlarmPolicies", alarm.ModuleUnknown)
def describe_alarm_policies(call: Call) -> Answer:
    """List alarm policies."""
    _check_module(call)
    given = call.parameters
    name, namespaces, notices = given.find_text("PolicyName"), given.texts("Namespaces"), set(given.texts("NoticeIds"))
    found = [
        one
        for one in call.tx.all(AlarmPolicy)
        if (not name or name in one.name)
        and (not namespaces or one.namespace in namespaces)
        and (not notices or notices & set(one.notice_ids))
    ]
    return {"TotalCount": len(found), "Policies": [_show_policy(call, one) for one in _page(call, found)]}


@action(
    "monitor",
    "ModifyAlarmPolicyInfo",
    alarm.ModuleUnknown,
    alarm.PolicyNotFound,
    alarm_notice.NameTooLong,
    alarm.RemarkIllegal,
)
def modify_alarm_policy_info(call: Call) -> Answer:
    """Change the name or remark of an alarm policy."""
    _check_module(call)
    given = call.parameters
    policy_id, key, value = given.text("PolicyId"), given.text("Key"), given.text("Value")
    match key:
        case "NAME":
            alarm.rename_policy(call.tx, policy_id, value)
        case "REMARK":
            alarm.remark_policy(call.tx, policy_id, value)
        case _:
            raise InvalidParameterValue(name="Key", value=key, expected="NAME or REMARK")
    return {}


@action("monitor", "ModifyAlarmPolicyStatus", alarm.ModuleUnknown, alarm.PolicyNotFound)
def modify_alarm_policy_status(call: Call) -> Answer:
    """Enable or disable an alarm policy."""
    _check_module(call)
    given = call.parameters
    alarm.switch_policy(call.tx, given.text("PolicyId"), on=_flag(given.integer("Enable"), 1))
    return {}


@action(
    "monitor",
    "ModifyAlarmPolicyCondition",
    alarm.ModuleUnknown,
    alarm.PolicyNotFound,
    alarm.PolicyNeedsCondition,
    alarm.ConditionInvalid,
)
def modify_alarm_policy_condition(call: Call) -> Answer:
    """Change the conditions of an alarm policy."""
    _check_module(call)
    given = call.parameters
    condition, event_condition = given.find_inside("Condition"), given.find_inside("EventCondition")
    alarm.change_conditions(
        call.tx,
        given.text("PolicyId"),
        None if condition is None else dict(condition.values),
        None if event_condition is None else dict(event_condition.values),
    )
    return {}


@action(
    "monitor",
    "ModifyAlarmPolicyNotice",
    alarm.ModuleUnknown,
    alarm.PolicyNotFound,
    alarm_notice.NoticeNotFound,
    alarm.TooManyNotices,
)
def modify_alarm_policy_notice(call: Call) -> Answer:
    """Change the notices that alarm policies send."""
    _check_module(call)
    given = call.parameters
    ids = given.texts("PolicyIds", limit=POLICIES_PER_REQUEST) or (given.text("PolicyId"),)
    for policy_id in ids:
        alarm.change_notices(call.tx, policy_id, given.texts("NoticeIds"))
    return {}


@action("monitor", "ModifyAlarmPolicyTasks", alarm.ModuleUnknown, alarm.PolicyNotFound)
def modify_alarm_policy_tasks(call: Call) -> Answer:
    """Change the tasks that an alarm policy triggers."""
    _check_module(call)
    given = call.parameters
    tasks = tuple(dict(entry.values) for entry in given.each("TriggerTasks"))
    alarm.change_tasks(call.tx, given.text("PolicyId"), tasks)
    return {}


@action("monitor", "DeleteAlarmPolicy", alarm.ModuleUnknown, alarm.PolicyNotFound)
def delete_alarm_policy(call: Call) -> Answer:
    """Delete alarm policies."""
    _check_module(call)
    alarm.delete_policies(call.tx, call.parameters.required_texts("PolicyIds"))
    return {}


def _policy_of(call: Call) -> AlarmPolicy:
    """Return the policy of PolicyId, or of GroupId, which is its older number."""
    policy_id, number = call.parameters.find_text("PolicyId"), call.parameters.find_integer("GroupId")
    if policy_id:
        return alarm.get_policy(call.tx, policy_id)
    for one in call.tx.all(AlarmPolicy):
        if one.number == number:
            return one
    raise alarm.PolicyNotFound(policy_id=number)


@action("monitor", "BindingPolicyObject", alarm.ModuleUnknown, alarm.PolicyNotFound, alarm.DimensionsInvalid)
def binding_policy_object(call: Call) -> Answer:
    """Bind objects to an alarm policy."""
    _check_module(call)
    given = call.parameters
    pairs = tuple(
        (entry.text("Region"), entry.find_text("Dimensions") or entry.find_text("EventDimensions") or "")
        for entry in given.each("Dimensions")
    )
    for region, _ in pairs:
        if region not in REGIONS.values():
            raise InvalidParameterValue(name="Region", value=region, expected=f"one of {', '.join(REGIONS.values())}")
    alarm.bind(call.tx, _policy_of(call).id, pairs)
    return {}


@action("monitor", "UnBindingAllPolicyObject", alarm.ModuleUnknown, alarm.PolicyNotFound)
def un_binding_all_policy_object(call: Call) -> Answer:
    """Unbind all objects in this region from an alarm policy."""
    _check_module(call)
    call.parameters.integer("GroupId")
    alarm.unbind_region(call.tx, _policy_of(call).id, REGIONS[call.region])
    return {}


@action("monitor", "DescribeBindingPolicyObjectList", alarm.ModuleUnknown, alarm.PolicyNotFound)
def describe_binding_policy_object_list(call: Call) -> Answer:
    """List the objects in this region that are bound to an alarm policy."""
    _check_module(call)
    given = call.parameters
    given.integer("GroupId")
    found = [one for one in _policy_of(call).objects if one.region == REGIONS[call.region]]
    rows = [
        {"UniqueId": one.unique_id, "Dimensions": one.dimensions, "IsShielded": 0, "Region": one.region}
        for one in page(call, found)
    ]
    return {"List": rows, "Total": len(found), "NoShieldedSum": len(found)}
