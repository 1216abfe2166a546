"""Cloud disks (CBS): system disks, which belong to an instance, and data disks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from localcloud.rules import disk_types, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal, documented
from localcloud.rules.transaction import Transaction

ATTACHED_LIMIT = 20  # data disks of one instance


DiskStep = Literal["attach", "detach", "grow", "destroy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk(Record):
    """A disk. `instance_id` is empty while the disk is not attached."""

    name: str
    usage: str  # SYSTEM_DISK, DATA_DISK
    type: str
    size_gib: int
    zone: str
    instance_id: str = ""
    portable: bool = True  # independent of its instance; false for system disks
    delete_with_instance: bool = False
    encrypted: bool = False
    throughput: int = 0
    project_id: int = 0
    state: str = "UNATTACHED"  # ATTACHING, ATTACHED, DETACHING, EXPANDING, TORECYCLE
    step: DiskStep | None = None  # pending task of the infrastructure
    step_began: float = 0.0


class DiskNotFound(Refusal):
    """DiskId must identify an existing disk."""

    code = "InvalidDiskId.NotFound"
    template = "DiskId must identify an existing disk (got `{disk_id}`)."
    source = documented("AttachDisks: InvalidDiskId.NotFound", page="362/16313")


class DiskShrinks(Refusal):
    """The new size of a disk must be larger than the current size."""

    code = "InvalidParameterValue"
    template = "The new size of disk `{disk_id}` must be larger than {present} GiB (got {size})."
    source = documented("ResizeDisk: DiskSize must exceed the current size", page="362/16310")


class DiskAttached(Refusal):
    """A disk can be attached to only one instance."""

    code = "ResourceUnavailable.Attached"
    template = "The disk `{disk_id}` must not be attached (attached to `{instance_id}`)."
    source = documented("AttachDisks: ResourceUnavailable.Attached", page="362/16313")


class DiskNotAttached(Refusal):
    """A disk can be detached only from the instance to which it is attached."""

    code = "ResourceUnavailable.NotSupported"
    template = "The disk `{disk_id}` must be attached to `{instance_id}`."
    source = documented(
        "DetachDisks: InstanceId must be the instance with the disk; code of the page",
        page="362/16316",
    )


class DiskNotPortable(Refusal):
    """A system disk cannot be attached or detached separately."""

    code = "ResourceUnavailable.NotPortable"
    template = "The disk `{disk_id}` must be an elastic disk."
    source = documented("AttachDisks, DetachDisks: elastic disks; ResourceUnavailable.NotPortable", page="362/16313")


class DiskBusy(Refusal):
    """A disk cannot be resized while it is being attached, detached or expanded."""

    code = "InvalidDisk.Busy"
    template = "The disk `{disk_id}` cannot be resized in state {state}."
    source = documented("ResizeDisk: InvalidDisk.Busy", page="362/16310")


class DiskChanging(Refusal):
    """A disk cannot be attached, detached or terminated while another of its operations is in progress."""

    code = "ResourceBusy"
    template = "The disk `{disk_id}` cannot be changed in state {state}."
    source = documented("AttachDisks, DetachDisks, TerminateDisks: ResourceBusy", page="362/16313")


class DiskNotResizable(Refusal):
    """A system disk must be resized with its instance (ResizeInstanceDisks)."""

    code = "ResourceUnavailable.NotSupported"
    template = "The disk `{disk_id}` must be an elastic disk."
    source = documented("ResizeDisk: elastic disks only", page="362/16310")


class DiskNotRefundable(Refusal):
    """A disk must be detached before it is terminated; a system disk is deleted with its instance."""

    code = "ResourceUnavailable.NotSupportRefund"
    template = "The disk `{disk_id}` must be detached before it is terminated (attached to `{instance_id}`)."
    source = documented("TerminateDisks: ResourceUnavailable.NotSupportRefund", page="362/16321")


class TooManyDisks(Refusal):
    """An instance can have at most 20 data disks."""

    code = "LimitExceeded.InstanceAttachedDisk"
    template = "The instance `{instance_id}` cannot have more than 20 data disks (got {count})."
    source = documented("CBS limits: at most 20 elastic disks for each instance; code: AttachDisks", page="362/5145")


class DiskZoneMismatch(Refusal):
    """A disk and its instance must be in the same zone."""

    code = "ResourceUnavailable.ZoneNotMatch"
    template = "The disk `{disk_id}` must be in zone {other} of the instance (got {zone})."
    source = documented("CBS limits: the same zone; code: AttachDisks", page="362/5145")


def get(tx: Transaction, disk_id: str) -> Disk:
    """Return the disk. Raises: DiskNotFound."""
    found = tx.find(Disk, disk_id)
    if found is None:
        raise DiskNotFound(disk_id=disk_id)
    return found


def create(
    tx: Transaction,
    *,
    name: str,
    kind: str,
    size_gib: int,
    zone: str,
    encrypted: bool = False,
    throughput: int = 0,
    project_id: int = 0,
    tags: tag.Tags,
) -> Disk:
    """Create a detached data disk with validated attributes."""
    made = tx.put(
        Disk(
            id=tx.new_id("disk"),
            region=tx.region,
            created=tx.now,
            name=name,
            usage="DATA_DISK",
            type=kind,
            size_gib=size_gib,
            zone=zone,
            encrypted=encrypted,
            throughput=throughput,
            project_id=project_id,
        )
    )
    tag.attach(tx, made.id, tags)
    return made


def create_system(tx: Transaction, *, kind: str, size_gib: int, zone: str, instance_id: str, name: str) -> Disk:
    """Create the system disk of a new instance."""
    disk_types.check_system_size(size_gib)
    return tx.put(
        Disk(
            id=tx.new_id("disk"),
            region=tx.region,
            created=tx.now,
            name=name,
            usage="SYSTEM_DISK",
            type=kind,
            size_gib=size_gib,
            zone=zone,
            instance_id=instance_id,
            portable=False,
            delete_with_instance=True,
            state="ATTACHED",
        )
    )


def create_attached(tx: Transaction, disk: Disk, instance_id: str, *, delete_with_instance: bool) -> Disk:
    """Create a data disk for RunInstances, attached to the new instance."""
    return tx.put(replace(disk, instance_id=instance_id, state="ATTACHED", delete_with_instance=delete_with_instance))


def of_instance(tx: Transaction, instance_id: str) -> list[Disk]:
    """Return the disks of an instance, the system disk first."""
    found = [one for one in tx.all(Disk) if one.instance_id == instance_id]
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
        raise DiskZoneMismatch(disk_id=disk_id, zone=disk.zone, other=zone)
    count = sum(one.usage == "DATA_DISK" for one in of_instance(tx, instance_id)) + 1
    if count > ATTACHED_LIMIT:
        raise TooManyDisks(instance_id=instance_id, count=count)
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


def detach(tx: Transaction, disk_id: str, instance_id: str | None) -> None:
    """Start to detach the disk; the infrastructure completes the operation."""
    disk = get(tx, disk_id)
    if not disk.portable:
        raise DiskNotPortable(disk_id=disk_id)
    if not disk.instance_id or disk.instance_id != (instance_id or disk.instance_id):
        raise DiskNotAttached(disk_id=disk_id, instance_id=instance_id or "an instance")
    check_idle(disk)
    tx.put(replace(disk, state="DETACHING", step="detach", step_began=tx.now))


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
        forget(tx, disk)


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


def forget(tx: Transaction, disk: Disk) -> None:
    """Delete the disk together with its instance."""
    tag.detach_all(tx, disk.id)
    tx.delete(disk)


def resize(tx: Transaction, disk_id: str, size_gib: int) -> None:
    """Start to expand the disk, attached or not; the infrastructure completes the operation."""
    disk = get(tx, disk_id)
    if not disk.portable:
        raise DiskNotResizable(disk_id=disk_id)
    check_idle(disk, DiskBusy)
    if size_gib <= disk.size_gib:
        raise DiskShrinks(disk_id=disk_id, present=disk.size_gib, size=size_gib)
    disk_types.check_size(disk.type, size_gib)
    tx.put(replace(disk, size_gib=size_gib, state="EXPANDING", step="grow", step_began=tx.now))


def modify(tx: Transaction, disk_id: str, *, name: str | None, delete_with_instance: bool | None) -> None:
    """Change the given attributes; None leaves an attribute unchanged."""
    disk = get(tx, disk_id)
    if name is not None:
        disk_types.check_name(name, disk_types.NAME_LIMIT)
    tx.put(
        replace(
            disk,
            name=disk.name if name is None else name,
            delete_with_instance=disk.delete_with_instance if delete_with_instance is None else delete_with_instance,
        )
    )
