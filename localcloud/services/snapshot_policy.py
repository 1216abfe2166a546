"""Scheduled snapshot policies of cloud disks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from localcloud.rules import disk, disk_types, snapshot_policy
from localcloud.rules.records import beijing_time, changed
from localcloud.rules.snapshot_policy import ScheduleInvalid, SnapshotPolicy
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import Filters, UnknownInstanceFilter, listed
from localcloud.services.parameters import Parameters

BOUND_PER_REQUEST = 80  # BindAutoSnapshotPolicy: DiskIds (362/33559)
_WRITE = (disk_types.DiskNameTooLong, ScheduleInvalid)


def show(call: Call, policy: SnapshotPolicy) -> Answer:
    return {
        "AutoSnapshotPolicyId": policy.id,
        "AutoSnapshotPolicyName": policy.name,
        "AutoSnapshotPolicyState": "NORMAL",
        "Policy": [{"DayOfWeek": list(policy.days), "Hour": list(policy.hours)}],
        "RetentionDays": policy.retention_days,
        "IsActivated": policy.activated,
        "IsPermanent": False,
        "IsCopyToRemote": 0,
        "NextTriggerTime": _next_time(call, policy),
        "CreateTime": beijing_time(policy.created),
        "DiskIdSet": snapshot_policy.bound_disks(call.tx, policy.id),
        "InstanceIdSet": [],
        "Tags": [],
    }


def _next_time(call: Call, policy: SnapshotPolicy) -> str:
    """The next hour of the schedule, in Beijing time."""
    now = datetime.fromtimestamp(call.tx.now, UTC).replace(minute=0, second=0, microsecond=0)
    times = (now + timedelta(hours=8 + ahead) for ahead in range(1, 7 * 24 + 1))
    due = next(at for at in times if (at.weekday() + 1) % 7 in policy.days and at.hour in policy.hours)
    return due.strftime("%Y-%m-%d %H:%M:%S")


def _attributes(given: Parameters) -> dict[str, object]:
    schedules = given.each("Policy")
    if len(schedules) > 1:
        raise ScheduleInvalid(got=len(schedules))
    return {
        "name": given.find_text("AutoSnapshotPolicyName"),
        "days": schedules[0].integers("DayOfWeek") if schedules else None,
        "hours": schedules[0].integers("Hour") if schedules else None,
        "retention_days": given.find_integer("RetentionDays"),
        "activated": given.find_flag("IsActivated"),
    }


@action("cbs", "CreateAutoSnapshotPolicy", *_WRITE, snapshot_policy.TooManyPolicies)
def create_policy(call: Call, given: Parameters) -> Answer:
    """Create a scheduled snapshot policy."""
    given.required_each("Policy")
    unnamed = SnapshotPolicy(name="未命名", days=(), hours=(), retention_days=7, activated=True)
    made = snapshot_policy.put(call.tx, changed(unnamed, _attributes(given)))
    return {"AutoSnapshotPolicyId": made.id, "NextTriggerTime": _next_time(call, made)}


@action("cbs", "DescribeAutoSnapshotPolicies", UnknownInstanceFilter)
def describe_policies(call: Call, _given: Parameters) -> Answer:
    """List scheduled snapshot policies."""
    filters: Filters[SnapshotPolicy] = {
        "auto-snapshot-policy-id": lambda one: [one.id],
        "auto-snapshot-policy-name": lambda one: [one.name],
        "auto-snapshot-policy-state": lambda _: ["NORMAL"],
    }
    ids, refusal = "AutoSnapshotPolicyIds", UnknownInstanceFilter
    return listed(call, "AutoSnapshotPolicySet", SnapshotPolicy, show, filters, ids=ids, refusal=refusal)


@action("cbs", "DescribeDiskAssociatedAutoSnapshotPolicy", disk.DiskNotFound)
def describe_policies_of_disk(call: Call, given: Parameters) -> Answer:
    """List the scheduled snapshot policies of a disk."""
    found = disk.get(call.tx, given.text("DiskId")).snapshot_policies
    # "DiskIdSet" is empty here, as the data type AutoSnapshotPolicy says.
    shown = [show(call, snapshot_policy.get(call.tx, policy_id)) | {"DiskIdSet": []} for policy_id in found]
    return {"TotalCount": len(found), "AutoSnapshotPolicySet": shown}


@action("cbs", "ModifyAutoSnapshotPolicyAttribute", *_WRITE, snapshot_policy.PolicyNotFound)
def modify_policy(call: Call, given: Parameters) -> None:
    """Change a scheduled snapshot policy."""
    present = snapshot_policy.get(call.tx, given.text("AutoSnapshotPolicyId"))
    snapshot_policy.put(call.tx, changed(present, _attributes(given)))


@action(
    "cbs",
    "BindAutoSnapshotPolicy",
    snapshot_policy.PolicyNotFound,
    snapshot_policy.PolicyAlreadyBound,
    disk.DiskNotFound,
)
def bind_policy(call: Call, given: Parameters) -> None:
    """Bind a scheduled snapshot policy to disks."""
    policy_id = given.text("AutoSnapshotPolicyId")
    snapshot_policy.bind(call.tx, policy_id, given.required_texts("DiskIds", limit=BOUND_PER_REQUEST))


@action("cbs", "UnbindAutoSnapshotPolicy", snapshot_policy.PolicyNotFound, disk.DiskNotFound)
def unbind_policy(call: Call, given: Parameters) -> None:
    """Unbind a scheduled snapshot policy from disks."""
    snapshot_policy.unbind(call.tx, given.text("AutoSnapshotPolicyId"), given.required_texts("DiskIds"))


@action("cbs", "DeleteAutoSnapshotPolicies", snapshot_policy.PolicyNotFound, snapshot_policy.PolicyInUse)
def delete_policies(call: Call, given: Parameters) -> None:
    """Delete scheduled snapshot policies."""
    snapshot_policy.delete(call.tx, given.required_texts("AutoSnapshotPolicyIds"))
