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
from localcloud.rules.refusal import assumed, documented, rule
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
    number: int = 0  # the older ID of the policy, "OriginId"
    enabled: bool
    condition: Document = field(default_factory=dict[str, Any])
    event_condition: Document = field(default_factory=dict[str, Any])
    notice_ids: tuple[str, ...] = ()
    objects: tuple[BoundObject, ...] = ()
    updated: float = 0.0


_CREATE_ALARM_POLICY = documented("CreateAlarmPolicy", page=_CREATE_POLICY)
PolicyNotFound = rule(
    "ResourceNotFound",
    "PolicyId must identify an existing alarm policy.",
    documented("CreateAlarmPolicy and other actions on alarm policies", page=_CREATE_POLICY),
)
NoticeInUse = rule(
    "FailedOperation",
    "A notice cannot be deleted while a policy sends it.",
    assumed("the console refuses it; DeleteAlarmNotices does not document a code"),
)
PolicyNeedsCondition = rule(
    "InvalidParameter", "An alarm policy must have a condition for metrics or events.", _CREATE_ALARM_POLICY
)
ConditionInvalid = rule(
    "InvalidParameterValue",
    "A condition must have rules with a documented operator, interval, type and flags.",
    documented("CreateAlarmPolicy: AlarmPolicyCondition, AlarmPolicyRule", page=_CREATE_POLICY),
)
MonitorTypeUnknown = rule(
    "InvalidParameterValue", "The monitor type of an alarm policy must be MT_QCE.", _CREATE_ALARM_POLICY
)
RemarkIllegal = rule(
    "InvalidParameterValue",
    "The remark of an alarm policy must have at most 100 Chinese and English letters, digits, `_` and `-`.",
    documented("CreateAlarmPolicy: Remark", page=_CREATE_POLICY),
)
TooManyNotices = rule(
    "LimitExceeded",
    "An alarm policy can send at most 3 notices.",
    documented("creating alarm policies: at most three notification templates", page="248/50398"),
)
DimensionsInvalid = rule(
    "FailedOperation",
    "The dimensions of a bound object must be JSON with the dimension of the namespace.",
    documented("policy types and their dimensions; for EIPs: intl:248/34646", page="248/50397"),
)

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
    for one in condition.get("Rules", ()):
        for name, allowed in _ALLOWED:
            if one.get(name) not in allowed | {None, ""}:
                raise ConditionInvalid(name=name, value=one[name])


def _check_dimensions(policy: AlarmPolicy, dimensions: str) -> None:
    try:
        names = set(json.loads(dimensions))
    except (ValueError, TypeError):
        names = set[str]()
    if not names or names != _DIMENSIONS.get(policy.namespace, names):
        raise DimensionsInvalid(got=dimensions, namespace=policy.namespace)


def get_policy(tx: Transaction, policy_id: str) -> AlarmPolicy:
    return tx.get(AlarmPolicy, policy_id, PolicyNotFound)


def delete_notices(tx: Transaction, notice_ids: tuple[str, ...]) -> None:
    """Delete unused notices. Raises: NoticeInUse."""
    for notice_id in notice_ids:
        found = alarm_notice.get(tx, notice_id)
        for policy_id in senders(tx, notice_id):
            raise NoticeInUse(notice_id=notice_id, policy_id=policy_id)
        tag.delete(tx, found)


def senders(tx: Transaction, notice_id: str) -> list[str]:
    return [policy.id for policy in tx.all(AlarmPolicy) if notice_id in policy.notice_ids]


def _check(tx: Transaction, policy: AlarmPolicy) -> None:
    alarm_notice.check_name(policy.name)
    if not policy.condition and not policy.event_condition:
        raise PolicyNeedsCondition
    if policy.monitor_type != "MT_QCE":
        raise MonitorTypeUnknown(got=policy.monitor_type)
    if not re.fullmatch(r"[\u4e00-\u9fffA-Za-z0-9_-]{0,100}", policy.remark):
        raise RemarkIllegal
    _check_condition(policy.condition)
    _check_condition(policy.event_condition)
    if len(policy.notice_ids) > NOTICES_LIMIT:
        raise TooManyNotices(got=len(policy.notice_ids))
    for notice_id in policy.notice_ids:
        alarm_notice.get(tx, notice_id)


def create_policy(tx: Transaction, requested: AlarmPolicy, tags: tag.Tags) -> AlarmPolicy:
    _check(tx, requested)
    number = 7_000_000 + tx.count("alarm policy")
    made = tx.put(replace(requested, id=tx.new_id("policy"), number=number, created=tx.now, updated=tx.now))
    tag.attach(tx, made.id, tags)
    return made


def change_policy(tx: Transaction, changed: AlarmPolicy) -> None:
    """ModifyAlarmPolicyInfo, -Status, -Condition, -Notice."""
    _check(tx, changed)
    tx.put(replace(changed, updated=tx.now))


def delete_policies(tx: Transaction, policy_ids: tuple[str, ...]) -> None:
    for policy_id in policy_ids:
        found = get_policy(tx, policy_id)
        tag.delete(tx, found)


def bind(tx: Transaction, policy: AlarmPolicy, requested: tuple[tuple[str, str], ...]) -> None:
    """BindingPolicyObject with pairs (region, dimensions). Objects that are already bound are unchanged."""
    objects = {target.unique_id: target for target in policy.objects}
    for region, dimensions in requested:
        _check_dimensions(policy, dimensions)
        unique_id = hashlib.sha256(f"{policy.id}/{region}/{dimensions}".encode()).hexdigest()[:32]
        objects.setdefault(unique_id, BoundObject(unique_id, region, dimensions))
    tx.put(replace(policy, objects=tuple(objects.values())))


def unbind_region(tx: Transaction, policy: AlarmPolicy, region: str) -> None:
    """UnBindingAllPolicyObject for one region."""
    tx.put(replace(policy, objects=tuple(target for target in policy.objects if target.region != region)))
