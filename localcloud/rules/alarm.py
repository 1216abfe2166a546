"""Alarm policies, the notices that they send, and the objects that they watch. They belong to no region."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

from localcloud.rules import tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal, assumed, documented, provider
from localcloud.rules.transaction import Transaction

_NOTICE_NAME = 60

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmNotice(Record):
    """Whom to tell, and how. The receivers are kept as they were given."""

    name: str
    type: str  # ALARM, OK, ALL
    language: str
    users: tuple[Document, ...] = ()
    urls: tuple[Document, ...] = ()
    logs: tuple[Document, ...] = ()
    updated: float


@dataclass(frozen=True, slots=True)
class BoundObject:
    """One thing that a policy watches, in one of the monitor's regions (`gz`)."""

    unique_id: str
    region: str
    dimensions: str  # JSON, as given


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmPolicy(Record):
    """When to send which notices. Conditions are kept as they were given; nothing is measured."""

    name: str
    remark: str
    monitor_type: str
    namespace: str
    project_id: int
    number: int  # the policy's older id, "OriginId"
    enabled: bool
    condition: Document = field(default_factory=dict[str, Any])
    event_condition: Document = field(default_factory=dict[str, Any])
    notice_ids: tuple[str, ...] = ()
    trigger_tasks: tuple[Document, ...] = ()
    objects: tuple[BoundObject, ...] = ()
    updated: float


class ModuleUnknown(Refusal):
    """Every request to the monitor says Module `monitor`."""

    code = "InvalidParameterValue"
    template = "The Module `{module}` is not `monitor`."
    source = documented("the page of CreateAlarmPolicy: Module, fixed value")


class PolicyNotFound(Refusal):
    """An alarm policy that is changed or bound must exist."""

    code = "ResourceNotFound"
    template = "The alarm policy `{policy_id}` does not exist."
    source = documented("the SDK's errorcodes.py (monitor)")


class NoticeNotFound(Refusal):
    """A notice that is changed, or that a policy names, must exist."""

    code = "ResourceNotFound"
    template = "The alarm notice `{notice_id}` does not exist."
    source = documented("the SDK's errorcodes.py (monitor)")


class NoticeInUse(Refusal):
    """A notice that a policy sends is not deleted."""

    code = "FailedOperation.ResourceConflict"
    template = "The alarm notice `{notice_id}` is in use by `{policy_id}`."
    source = assumed("the console refuses it; the page of DeleteAlarmNotices names no code")


class NameTooLong(Refusal):
    """An alarm policy's name has 1 to 60 characters, a notice's too."""

    code = "InvalidParameterValue"
    template = "The name `{name}` must have 1 to 60 characters."
    source = documented("api.json: CreateAlarmPolicy.PolicyName, CreateAlarmNotice.Name")


class PolicyNeedsCondition(Refusal):
    """An alarm policy has a condition for metrics or for events."""

    code = "MissingParameter"
    template = "The request is missing a required parameter: `Condition`, `EventCondition` or `ConditionTemplateId`."
    source = provider("requires one of conditions, event_conditions and conditon_template_id")


def get_policy(tx: Transaction, policy_id: str) -> AlarmPolicy:
    """The policy. Raises PolicyNotFound."""
    found = tx.find(AlarmPolicy, policy_id)
    if found is None:
        raise PolicyNotFound(policy_id=policy_id)
    return found


def get_notice(tx: Transaction, notice_id: str) -> AlarmNotice:
    """The notice. Raises NoticeNotFound."""
    found = tx.find(AlarmNotice, notice_id)
    if found is None:
        raise NoticeNotFound(notice_id=notice_id)
    return found


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= _NOTICE_NAME:
        raise NameTooLong(name=name)


def create_notice(tx: Transaction, wanted: AlarmNotice, tags: tag.Tags) -> AlarmNotice:
    """A new notice; id and times are given here."""
    _check_name(wanted.name)
    made = tx.put(replace(wanted, id=tx.new_id("notice"), created=tx.now, updated=tx.now))
    tag.attach(tx, made.id, tags)
    return made


def change_notice(tx: Transaction, changed: AlarmNotice) -> None:
    """ModifyAlarmNotice gives the whole notice anew."""
    present = get_notice(tx, changed.id)
    _check_name(changed.name)
    tx.put(replace(changed, created=present.created, updated=tx.now))


def delete_notices(tx: Transaction, notice_ids: tuple[str, ...]) -> None:
    """Remove notices that no policy sends."""
    for notice_id in notice_ids:
        found = get_notice(tx, notice_id)
        for policy_id in senders(tx, notice_id):
            raise NoticeInUse(notice_id=notice_id, policy_id=policy_id)
        tag.detach_all(tx, notice_id)
        tx.delete(found)


def senders(tx: Transaction, notice_id: str) -> list[str]:
    """Ids of the policies that send a notice."""
    return [policy.id for policy in tx.all(AlarmPolicy) if notice_id in policy.notice_ids]


def create_policy(tx: Transaction, wanted: AlarmPolicy, tags: tag.Tags) -> AlarmPolicy:
    """A new policy; id, number and times are given here."""
    _check_name(wanted.name)
    if not wanted.condition and not wanted.event_condition:
        raise PolicyNeedsCondition
    for notice_id in wanted.notice_ids:
        get_notice(tx, notice_id)
    number = 7_000_000 + tx.count("alarm policy")
    made = tx.put(replace(wanted, id=tx.new_id("policy"), number=number, created=tx.now, updated=tx.now))
    tag.attach(tx, made.id, tags)
    return made


def rename_policy(tx: Transaction, policy_id: str, name: str) -> None:
    """ModifyAlarmPolicyInfo with Key NAME."""
    found = get_policy(tx, policy_id)
    _check_name(name)
    tx.put(replace(found, name=name, updated=tx.now))


def remark_policy(tx: Transaction, policy_id: str, remark: str) -> None:
    """ModifyAlarmPolicyInfo with Key REMARK."""
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
    for notice_id in notice_ids:
        get_notice(tx, notice_id)
    tx.put(replace(found, notice_ids=notice_ids, updated=tx.now))


def change_tasks(tx: Transaction, policy_id: str, tasks: tuple[Document, ...]) -> None:
    """ModifyAlarmPolicyTasks."""
    tx.put(replace(get_policy(tx, policy_id), trigger_tasks=tasks, updated=tx.now))


def delete_policies(tx: Transaction, policy_ids: tuple[str, ...]) -> None:
    """Remove policies, with their bindings."""
    for policy_id in policy_ids:
        found = get_policy(tx, policy_id)
        tag.detach_all(tx, policy_id)
        tx.delete(found)


def bind(tx: Transaction, policy_id: str, wanted: tuple[tuple[str, str], ...]) -> None:
    """BindingPolicyObject: (region, dimensions) pairs; one that is bound stays as it is."""
    found = get_policy(tx, policy_id)
    objects = {one.unique_id: one for one in found.objects}
    for region, dimensions in wanted:
        unique_id = hashlib.sha256(f"{policy_id}/{region}/{dimensions}".encode()).hexdigest()[:32]
        objects.setdefault(unique_id, BoundObject(unique_id, region, dimensions))
    tx.put(replace(found, objects=tuple(objects.values())))


def unbind(tx: Transaction, policy_id: str, unique_ids: tuple[str, ...]) -> None:
    """UnBindingPolicyObject; what is not bound is passed over."""
    found = get_policy(tx, policy_id)
    tx.put(replace(found, objects=tuple(one for one in found.objects if one.unique_id not in unique_ids)))


def unbind_region(tx: Transaction, policy_id: str, region: str) -> None:
    """UnBindingAllPolicyObject: all of one region."""
    found = get_policy(tx, policy_id)
    tx.put(replace(found, objects=tuple(one for one in found.objects if one.region != region)))
