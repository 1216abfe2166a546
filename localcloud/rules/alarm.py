"""Alarm policies with their notices and bound objects. They belong to no region."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from localcloud.rules import alarm_notice, tag
from localcloud.rules.alarm_notice import Document
from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal, assumed, documented
from localcloud.rules.transaction import Transaction

NOTICES_LIMIT = 3
_CREATE_POLICY = "248/51287"


@dataclass(frozen=True, slots=True)
class BoundObject:
    """An object that a policy monitors, in a region of the service monitor (`gz`)."""

    unique_id: str
    region: str
    dimensions: str  # JSON, as given


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmPolicy(Record):
    """The conditions of an alarm and the notices to send. Conditions are stored as given; no metric is measured."""

    name: str
    remark: str
    monitor_type: str
    namespace: str
    project_id: int
    number: int  # the older ID of the policy, "OriginId"
    enabled: bool
    condition: Document = field(default_factory=dict[str, Any])
    event_condition: Document = field(default_factory=dict[str, Any])
    notice_ids: tuple[str, ...] = ()
    trigger_tasks: tuple[Document, ...] = ()
    objects: tuple[BoundObject, ...] = ()
    updated: float


class ModuleUnknown(Refusal):
    """The Module of a request to the service monitor must be `monitor`."""

    code = "InvalidParameter"
    template = "Module must be `monitor` (got `{module}`)."
    source = documented("CreateAlarmPolicy: Module is monitor", page=_CREATE_POLICY)


class PolicyNotFound(Refusal):
    """PolicyId must identify an existing alarm policy."""

    code = "ResourceNotFound"
    template = "PolicyId must identify an existing alarm policy (got `{policy_id}`)."
    source = documented("CreateAlarmPolicy and other actions on alarm policies: ResourceNotFound", page=_CREATE_POLICY)


class NoticeInUse(Refusal):
    """A notice cannot be deleted while a policy sends it."""

    code = "FailedOperation"
    template = "The alarm notice `{notice_id}` cannot be deleted while `{policy_id}` uses it."
    source = assumed("the console refuses it; DeleteAlarmNotices does not document a code")


class PolicyNeedsCondition(Refusal):
    """An alarm policy must have a condition for metrics or events."""

    code = "InvalidParameter"
    template = "The request must have the parameter `Condition`, `EventCondition` or `ConditionTemplateId`."
    source = documented("CreateAlarmPolicy: Condition or ConditionTemplateId", page=_CREATE_POLICY)


class ConditionInvalid(Refusal):
    """A condition must have rules with a documented operator, interval, type and flags."""

    code = "InvalidParameterValue"
    template = "The {name} of the condition must be a documented value (got {value!r})."
    source = documented("CreateAlarmPolicy: AlarmPolicyCondition, AlarmPolicyRule", page=_CREATE_POLICY)


class MonitorTypeUnknown(Refusal):
    """The monitor type of an alarm policy must be MT_QCE."""

    code = "InvalidParameterValue"
    template = "MonitorType must be MT_QCE (got `{kind}`)."
    source = documented("CreateAlarmPolicy: MonitorType MT_QCE", page=_CREATE_POLICY)


class RemarkIllegal(Refusal):
    """The remark of an alarm policy must have at most 100 Chinese and English letters, digits, `_` and `-`."""

    code = "InvalidParameterValue"
    template = "The remark must have at most 100 Chinese and English letters, digits, `_` and `-`."
    source = documented("CreateAlarmPolicy: Remark", page=_CREATE_POLICY)


class TooManyNotices(Refusal):
    """An alarm policy can send at most 3 notices."""

    code = "LimitExceeded"
    template = "The policy cannot send more than 3 notices (got {count})."
    source = documented("creating alarm policies: at most three notification templates", page="248/50398")


class DimensionsInvalid(Refusal):
    """The dimensions of a bound object must be JSON with the dimension of the namespace."""

    code = "FailedOperation"
    template = "The dimensions must be those of the namespace `{namespace}` (got {value!r})."
    source = documented("policy types and their dimensions; for EIPs: intl:248/34646", page="248/50397")


_OPERATORS = frozenset(
    {
        *("intelligent", "eq", "ge", "gt", "le", "lt", "ne", "re"),
        *(f"{span}_{change}" for span in ("day", "week", "cycle") for change in ("increase", "decrease", "wave")),
    }
)
_INTERVALS_S = frozenset({0, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400})
_ALLOWED: tuple[tuple[str, frozenset[object]], ...] = (
    ("Operator", frozenset[object](_OPERATORS)),
    ("NoticeFrequency", frozenset[object](_INTERVALS_S)),
    ("IsPowerNotice", frozenset[object]({0, 1})),
    ("RuleType", frozenset[object]({"STATIC", "DYNAMIC"})),
)
_DIMENSIONS = {"cvm_device": {"unInstanceId"}, "EIP": {"eip"}}


def _check_condition(condition: Document) -> None:
    if condition and condition.get("IsUnionRule", 0) not in {0, 1, 2}:
        raise ConditionInvalid(name="IsUnionRule", value=condition["IsUnionRule"])
    if condition and not condition.get("Rules"):
        raise ConditionInvalid(name="Rules", value=[])
    for rule in condition.get("Rules", ()):
        for name, allowed in _ALLOWED:
            if rule.get(name) not in allowed | {None, ""}:
                raise ConditionInvalid(name=name, value=rule[name])


def _check_remark(remark: str) -> None:
    if not re.fullmatch(r"[\u4e00-\u9fffA-Za-z0-9_-]{0,100}", remark):
        raise RemarkIllegal


def _check_dimensions(policy: AlarmPolicy, dimensions: str) -> None:
    try:
        names = set(json.loads(dimensions))
    except (ValueError, TypeError):
        names = set[str]()
    if not names or names != _DIMENSIONS.get(policy.namespace, names):
        raise DimensionsInvalid(value=dimensions, namespace=policy.namespace)


def get_policy(tx: Transaction, policy_id: str) -> AlarmPolicy:
    """Return the policy. Raises: PolicyNotFound."""
    found = tx.find(AlarmPolicy, policy_id)
    if found is None:
        raise PolicyNotFound(policy_id=policy_id)
    return found


def delete_notices(tx: Transaction, notice_ids: tuple[str, ...]) -> None:
    """Delete unused notices. Raises: NoticeInUse."""
    for notice_id in notice_ids:
        found = alarm_notice.get(tx, notice_id)
        for policy_id in senders(tx, notice_id):
            raise NoticeInUse(notice_id=notice_id, policy_id=policy_id)
        tag.detach_all(tx, notice_id)
        tx.delete(found)


def senders(tx: Transaction, notice_id: str) -> list[str]:
    """Return the IDs of the policies that send a notice."""
    return [policy.id for policy in tx.all(AlarmPolicy) if notice_id in policy.notice_ids]


def _check_notices(tx: Transaction, notice_ids: tuple[str, ...]) -> None:
    if len(notice_ids) > NOTICES_LIMIT:
        raise TooManyNotices(count=len(notice_ids))
    for notice_id in notice_ids:
        alarm_notice.get(tx, notice_id)


def create_policy(tx: Transaction, requested: AlarmPolicy, tags: tag.Tags) -> AlarmPolicy:
    """Create a policy and assign its ID, number and times."""
    alarm_notice.check_name(requested.name)
    if not requested.condition and not requested.event_condition:
        raise PolicyNeedsCondition
    if requested.monitor_type != "MT_QCE":
        raise MonitorTypeUnknown(kind=requested.monitor_type)
    _check_remark(requested.remark)
    _check_condition(requested.condition)
    _check_condition(requested.event_condition)
    _check_notices(tx, requested.notice_ids)
    number = 7_000_000 + tx.count("alarm policy")
    made = tx.put(replace(requested, id=tx.new_id("policy"), number=number, created=tx.now, updated=tx.now))
    tag.attach(tx, made.id, tags)
    return made


def rename_policy(tx: Transaction, policy_id: str, name: str) -> None:
    """ModifyAlarmPolicyInfo with Key NAME."""
    found = get_policy(tx, policy_id)
    alarm_notice.check_name(name)
    tx.put(replace(found, name=name, updated=tx.now))


def remark_policy(tx: Transaction, policy_id: str, remark: str) -> None:
    """ModifyAlarmPolicyInfo with Key REMARK."""
    _check_remark(remark)
    tx.put(replace(get_policy(tx, policy_id), remark=remark, updated=tx.now))


def switch_policy(tx: Transaction, policy_id: str, *, on: bool) -> None:
    """ModifyAlarmPolicyStatus."""
    tx.put(replace(get_policy(tx, policy_id), enabled=on, updated=tx.now))


def change_conditions(
    tx: Transaction, policy_id: str, condition: Document | None, event_condition: Document | None
) -> None:
    """ModifyAlarmPolicyCondition."""
    found = get_policy(tx, policy_id)
    if condition is None and event_condition is None:
        raise PolicyNeedsCondition
    _check_condition(condition or {})
    _check_condition(event_condition or {})
    tx.put(
        replace(
            found,
            condition=found.condition if condition is None else condition,
            event_condition=found.event_condition if event_condition is None else event_condition,
            updated=tx.now,
        )
    )


def change_notices(tx: Transaction, policy_id: str, notice_ids: tuple[str, ...]) -> None:
    """ModifyAlarmPolicyNotice."""
    found = get_policy(tx, policy_id)
    _check_notices(tx, notice_ids)
    tx.put(replace(found, notice_ids=notice_ids, updated=tx.now))


def change_tasks(tx: Transaction, policy_id: str, tasks: tuple[Document, ...]) -> None:
    """ModifyAlarmPolicyTasks."""
    tx.put(replace(get_policy(tx, policy_id), trigger_tasks=tasks, updated=tx.now))


def delete_policies(tx: Transaction, policy_ids: tuple[str, ...]) -> None:
    """Delete policies with their bindings."""
    for policy_id in policy_ids:
        found = get_policy(tx, policy_id)
        tag.detach_all(tx, policy_id)
        tx.delete(found)


def bind(tx: Transaction, policy_id: str, requested: tuple[tuple[str, str], ...]) -> None:
    """BindingPolicyObject with pairs (region, dimensions). Objects that are already bound are unchanged."""
    found = get_policy(tx, policy_id)
    objects = {one.unique_id: one for one in found.objects}
    for region, dimensions in requested:
        _check_dimensions(found, dimensions)
        unique_id = hashlib.sha256(f"{policy_id}/{region}/{dimensions}".encode()).hexdigest()[:32]
        objects.setdefault(unique_id, BoundObject(unique_id, region, dimensions))
    tx.put(replace(found, objects=tuple(objects.values())))


def unbind_region(tx: Transaction, policy_id: str, region: str) -> None:
    """UnBindingAllPolicyObject for one region."""
    found = get_policy(tx, policy_id)
    tx.put(replace(found, objects=tuple(one for one in found.objects if one.region != region)))
