"""Scheduled snapshot policies of cloud disks. Only the records exist: no snapshots are created."""

from __future__ import annotations

from dataclasses import dataclass, replace

from localcloud.rules import disk, disk_types
from localcloud.rules.disk import Disk
from localcloud.rules.records import Record
from localcloud.rules.refusal import assumed, check_range, documented, rule
from localcloud.rules.transaction import Transaction

QUOTA = 30
_LONGEST_RETENTION_DAYS = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPolicy(Record):
    """When snapshots of the bound disks are due, and how long they are kept. The disks have its ID."""

    name: str
    days: tuple[int, ...]  # 0 is Sunday
    hours: tuple[int, ...]
    retention_days: int
    activated: bool


PolicyNotFound = rule(
    "InvalidAutoSnapshotPolicyId.NotFound",
    "AutoSnapshotPolicyId must identify an existing scheduled snapshot policy.",
    documented("BindAutoSnapshotPolicy; the SDK's errorcodes.py", page="362/33559"),
)
ScheduleInvalid = rule(
    "InvalidParameterValue",
    "A policy must have one schedule with at least one DayOfWeek from 0 to 6 and one Hour from 0 to 23.",
    documented("data type Policy: DayOfWeek, Hour; other schedules are not emulated", page="362/15669"),
)
TooManyPolicies = rule(
    "LimitExceeded.AutoSnapshotPolicyOutOfQuota",
    "A region can have at most 30 scheduled snapshot policies.",
    assumed("CreateAutoSnapshotPolicy (362/33558) has a quota for each region; its number could not be read"),
)
PolicyAlreadyBound = rule(
    "InvalidDisk.AlreadyBound",
    "A policy can be bound to a disk only once.",
    documented("BindAutoSnapshotPolicy: error code", page="362/33559"),
)
PolicyInUse = rule(
    "ResourceBusy",
    "A policy must be unbound from all disks before it is deleted.",
    assumed("DeleteAutoSnapshotPolicies (362/33557) has policies that cannot be deleted and does not name them"),
)


def get(tx: Transaction, policy_id: str) -> SnapshotPolicy:
    return tx.get(SnapshotPolicy, policy_id, PolicyNotFound)


def put(tx: Transaction, requested: SnapshotPolicy) -> SnapshotPolicy:
    """Create the policy if it has no ID, or change it."""
    disk_types.check_name(requested.name, disk_types.NAME_LIMIT)
    check_range("RetentionDays", requested.retention_days, 1, _LONGEST_RETENTION_DAYS)
    for given, valid in ((requested.days, range(7)), (requested.hours, range(24))):
        if not given or not set(given) <= set(valid):
            raise ScheduleInvalid(got=given)
    if requested.id:
        return tx.put(requested)
    if len(tx.all(SnapshotPolicy)) >= QUOTA:
        raise TooManyPolicies
    return tx.put(replace(requested, id=tx.new_id("asp"), region=tx.region, created=tx.now))


def bind(tx: Transaction, policy_id: str, disk_ids: tuple[str, ...]) -> None:
    get(tx, policy_id)
    for one in [disk.get(tx, disk_id) for disk_id in disk_ids]:
        if policy_id in one.snapshot_policies:
            raise PolicyAlreadyBound(policy_id=policy_id, disk_id=one.id)
        tx.put(replace(one, snapshot_policies=(*one.snapshot_policies, policy_id)))


def unbind(tx: Transaction, policy_id: str, disk_ids: tuple[str, ...]) -> None:
    """Unbind the policy from disks. Disks without it are skipped (362/33554)."""
    get(tx, policy_id)
    for one in [disk.get(tx, disk_id) for disk_id in disk_ids]:
        left = tuple(each for each in one.snapshot_policies if each != policy_id)
        tx.put(replace(one, snapshot_policies=left))


def bound_disks(tx: Transaction, policy_id: str) -> list[str]:
    return [one.id for one in tx.all(Disk) if policy_id in one.snapshot_policies]


def delete(tx: Transaction, policy_ids: tuple[str, ...]) -> None:
    """Delete all policies, or none."""
    for policy_id in policy_ids:
        policy = get(tx, policy_id)
        if disks := bound_disks(tx, policy_id):
            raise PolicyInUse(policy_id=policy_id, disks=disks)
        tx.delete(policy)
