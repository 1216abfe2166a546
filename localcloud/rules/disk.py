"""Cloud disks (CBS): system disks, which belong to an instance, and data disks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from localcloud.rules import disk_types, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal, assumed, documented, rule
from localcloud.rules.transaction import Transaction

ATTACHED_LIMIT = 20  # data disks of one instance

DiskStep = Literal["attach", "detach", "grow", "destroy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk(Record):
    """A disk. `instance_id` is empty while the disk is not attached."""

    name: str
    usage: str = "DATA_DISK"  # SYSTEM_DISK
    type: str
    size_gib: int
    zone: str = ""
    instance_id: str = ""
    portable: bool = True  # independent of its instance; false for system disks
    delete_with_instance: bool = False
    encrypted: bool = False
    throughput: int = 0
    project_id: int = 0
    snapshot_policies: tuple[str, ...] = ()  # IDs of the bound scheduled snapshot policies
    state: str = "UNATTACHED"  # ATTACHING, ATTACHED, DETACHING, EXPANDING, TORECYCLE
    step: DiskStep | None = None  # pending task of the infrastructure
    step_began: float = 0.0


_ATTACH_DISKS = documented("AttachDisks", page="362/16313")
_RESIZE_DISK = documented("ResizeDisk", page="362/16310")
DiskNotFound = rule("InvalidDiskId.NotFound", "DiskId must identify an existing disk.", _ATTACH_DISKS)
DiskShrinks = rule(
    "InvalidParameterValue", "The new size of a disk must be larger than the current size.", _RESIZE_DISK
)
DiskAttached = rule("ResourceUnavailable.Attached", "A disk can be attached to only one instance.", _ATTACH_DISKS)
DiskNotAttached = rule(
    "ResourceUnavailable.NotSupported",
    "A disk can be detached only from the instance to which it is attached.",
    documented("DetachDisks: disks of one instance, which InstanceId names", page="362/16316"),
)
DiskNotPortable = rule(
    "ResourceUnavailable.NotPortable",
    "A system disk cannot be attached or detached separately.",
    documented("AttachDisks, DetachDisks: elastic disks", page="362/16313"),
)
DiskBusy = rule(
    "InvalidDisk.Busy", "A disk cannot be resized while it is being attached, detached or expanded.", _RESIZE_DISK
)
DiskChanging = rule(
    "ResourceBusy",
    "A disk cannot be attached, detached or terminated while another of its operations is in progress.",
    documented("AttachDisks, DetachDisks, TerminateDisks", page="362/16313"),
)
DiskNotResizable = rule(
    "ResourceUnavailable.NotSupported",
    "A system disk must be resized with its instance (ResizeInstanceDisks).",
    documented("ResizeDisk: elastic disks only", page="362/16310"),
)
DiskNotRefundable = rule(
    "ResourceUnavailable.NotSupportRefund",
    "A disk must be detached before it is terminated; a system disk is deleted with its instance.",
    documented("TerminateDisks", page="362/16321"),
)
TooManyDisks = rule(
    "LimitExceeded.InstanceAttachedDisk",
    "An instance can have at most 20 data disks.",
    documented("CBS limits: at most 20 elastic disks for each instance; code: AttachDisks", page="362/5145"),
)
InstanceCannotAttachDisk = rule(
    "InvalidInstance.NotSupported",
    "A disk cannot be attached to an instance that is being created or terminated, or that failed to launch.",
    assumed("AttachDisks (362/16313) has the code and does not name the states"),
)
DiskZoneMismatch = rule(
    "ResourceUnavailable.ZoneNotMatch",
    "A disk and its instance must be in the same zone.",
    documented("CBS limits: the same zone; code: AttachDisks", page="362/5145"),
)


def get(tx: Transaction, disk_id: str) -> Disk:
    return tx.get(Disk, disk_id, DiskNotFound)


def create(tx: Transaction, requested: Disk, tags: tag.Tags) -> Disk:
    return tag.create(tx, "disk", requested, tags)


def of_instance(tx: Transaction, instance_id: str) -> list[Disk]:
    """Return the disks of an instance, the system disk first."""
    found = [disk for disk in tx.all(Disk) if disk.instance_id == instance_id]
    return sorted(found, key=lambda one: one.usage != "SYSTEM_DISK")


def check_idle(disk: Disk, refusal: type[Refusal] = DiskChanging) -> None:
    """Raises: DiskChanging, or the given refusal, if an operation is in progress."""
    if disk.state not in {"ATTACHED", "UNATTACHED"}:
        raise refusal(disk_id=disk.id, state=disk.state)


def attach(tx: Transaction, disk_id: str, instance_id: str, zone: str, *, delete_with_instance: bool) -> None:
    """Start to attach the disk; the infrastructure completes the operation."""
    disk = get(tx, disk_id)
    if not disk.portable:
        raise DiskNotPortable(disk_id=disk_id)
    if disk.instance_id:
        raise DiskAttached(disk_id=disk_id, instance_id=disk.instance_id)
    check_idle(disk)
    if disk.zone != zone:
        raise DiskZoneMismatch(got=disk.zone, disk_id=disk_id, other=zone)
    count = sum(one.usage == "DATA_DISK" for one in of_instance(tx, instance_id)) + 1
    if count > ATTACHED_LIMIT:
        raise TooManyDisks(got=count, instance_id=instance_id)
    tx.put(
        replace(
            disk,
            instance_id=instance_id,
            delete_with_instance=delete_with_instance,
            state="ATTACHING",
            step="attach",
            step_began=tx.now,
        )
    )


def detach(tx: Transaction, disk_id: str, instance_id: str | None) -> str:
    """Start to detach the disk; the infrastructure completes the operation. Returns the ID of its instance."""
    disk = get(tx, disk_id)
    if not disk.portable:
        raise DiskNotPortable(disk_id=disk_id)
    if not disk.instance_id or disk.instance_id != (instance_id or disk.instance_id):
        raise DiskNotAttached(disk_id=disk_id, instance_id=instance_id or "an instance")
    check_idle(disk)
    tx.put(replace(disk, state="DETACHING", step="detach", step_began=tx.now))
    return disk.instance_id


def terminate(tx: Transaction, disk_id: str) -> None:
    """Start to destroy the disk; the infrastructure completes the operation."""
    disk = get(tx, disk_id)
    check_idle(disk)
    if disk.instance_id:
        raise DiskNotRefundable(disk_id=disk_id, instance_id=disk.instance_id)
    tx.put(replace(disk, state="TORECYCLE", step="destroy", step_began=tx.now))


def finished(tx: Transaction, disk_id: str) -> None:
    """Record that the infrastructure has completed the step of the disk."""
    disk = tx.find(Disk, disk_id)
    if disk is None or disk.step is None:
        return
    if disk.step == "attach":
        tx.put(replace(disk, state="ATTACHED", step=None))
    elif disk.step == "detach":
        tx.put(replace(disk, state="UNATTACHED", instance_id="", delete_with_instance=False, step=None))
    elif disk.step == "grow":
        tx.put(replace(disk, state="ATTACHED" if disk.instance_id else "UNATTACHED", step=None))
    else:
        tag.delete(tx, disk)


def failed(tx: Transaction, disk_id: str) -> None:
    """Record that the infrastructure failed to complete the step; the previous state is restored."""
    disk = tx.find(Disk, disk_id)
    if disk is None or disk.step is None:
        return
    if disk.step == "grow":  # the infrastructure sets the new size when it next attaches the disk
        finished(tx, disk_id)
    elif disk.step == "detach":
        tx.put(replace(disk, state="ATTACHED", step=None))
    else:
        tx.put(replace(disk, state="UNATTACHED", instance_id="", delete_with_instance=False, step=None))


def resize(tx: Transaction, disk_id: str, size_gib: int) -> None:
    """Start to expand the disk, attached or not; the infrastructure completes the operation."""
    disk = get(tx, disk_id)
    if not disk.portable:
        raise DiskNotResizable(disk_id=disk_id)
    check_idle(disk, DiskBusy)
    if size_gib <= disk.size_gib:
        raise DiskShrinks(got=size_gib, disk_id=disk_id, present=disk.size_gib)
    disk_types.check_size(disk.type, size_gib)
    tx.put(replace(disk, size_gib=size_gib, state="EXPANDING", step="grow", step_began=tx.now))


def change(tx: Transaction, changed: Disk) -> None:
    disk_types.check_name(changed.name, disk_types.NAME_LIMIT)
    tx.put(changed)
