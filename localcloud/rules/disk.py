"""Cloud disks (CBS): system disks, which live with their instance, and data disks."""

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
    """A disk. `instance_id` is empty while it is attached to none."""

    name: str
    usage: str  # SYSTEM_DISK, DATA_DISK
    type: str
    size_gib: int
    zone: str
    instance_id: str = ""
    portable: bool = True  # outlives its instance's lease; system disks do not
    delete_with_instance: bool = False
    encrypted: bool = False
    throughput: int = 0
    project_id: int = 0
    state: str = "UNATTACHED"  # ATTACHING, ATTACHED, DETACHING, EXPANDING, TORECYCLE
    step: DiskStep | None = None  # what the infrastructure has still to do
    step_began: float = 0.0


class DiskNotFound(Refusal):
    """A disk that a request names must exist."""

    code = "InvalidDiskId.NotFound"
    template = "The disk `{disk_id}` does not exist."
    source = documented("AttachDisks: InvalidDiskId.NotFound", page="362/16313")


class DiskShrinks(Refusal):
    """A disk only grows."""

    code = "InvalidParameterValue"
    template = "The disk `{disk_id}` has {present} GiB; the new size {size} GiB must be larger."
    source = documented("ResizeDisk: DiskSize must exceed the present size", page="362/16310")


class DiskAttached(Refusal):
    """A disk is attached to one instance."""

    code = "ResourceUnavailable.Attached"
    template = "The disk `{disk_id}` is attached to `{instance_id}`."
    source = documented("AttachDisks: ResourceUnavailable.Attached", page="362/16313")


class DiskNotAttached(Refusal):
    """A disk is detached only from the instance that it is attached to."""

    code = "ResourceUnavailable.NotSupported"
    template = "The disk `{disk_id}` is not attached to `{instance_id}`."
    source = documented("DetachDisks: InstanceId must be the one that has the disk; code of the page", page="362/16316")


class DiskNotPortable(Refusal):
    """A system disk is neither attached nor detached by itself."""

    code = "ResourceUnavailable.NotPortable"
    template = "The disk `{disk_id}` is not an elastic disk."
    source = documented("AttachDisks, DetachDisks: elastic disks; ResourceUnavailable.NotPortable", page="362/16313")


class DiskBusy(Refusal):
    """A disk that is being attached, detached or expanded is not resized."""

    code = "InvalidDisk.Busy"
    template = "The disk `{disk_id}` is in state {state}."
    source = documented("ResizeDisk: InvalidDisk.Busy", page="362/16310")


class DiskChanging(Refusal):
    """A disk that is being attached, detached or expanded is neither attached, detached nor terminated."""

    code = "ResourceBusy"
    template = "The disk `{disk_id}` is in state {state}."
    source = documented("AttachDisks, DetachDisks, TerminateDisks: ResourceBusy", page="362/16313")


class DiskNotResizable(Refusal):
    """A system disk is resized with its instance (ResizeInstanceDisks)."""

    code = "ResourceUnavailable.NotSupported"
    template = "The disk `{disk_id}` is not an elastic disk."
    source = documented("ResizeDisk: elastic disks only", page="362/16310")


class DiskNotRefundable(Refusal):
    """A disk is terminated while it is attached to nothing; a system disk goes with its instance."""

    code = "ResourceUnavailable.NotSupportRefund"
    template = "The disk `{disk_id}` is attached to `{instance_id}`."
    source = documented("TerminateDisks: ResourceUnavailable.NotSupportRefund", page="362/16321")


class TooManyDisks(Refusal):
    """An instance has at most 20 data disks."""

    code = "LimitExceeded.InstanceAttachedDisk"
    template = "The instance `{instance_id}` would have {count} data disks; the limit is 20."
    source = documented("limits of CBS: at most 20 elastic disks for an instance; code: AttachDisks", page="362/5145")


class DiskZoneMismatch(Refusal):
    """A disk and its instance are in the same zone."""

    code = "ResourceUnavailable.ZoneNotMatch"
    template = "The disk `{disk_id}` is in zone {zone}, the instance in {other}."
    source = documented("limits of CBS: the same zone; code: AttachDisks", page="362/5145")


def get(tx: Transaction, disk_id: str) -> Disk:
    """The disk. Raises DiskNotFound."""
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
    """A new data disk that is attached to nothing; what it is has been checked."""
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
    """The disk that an instance boots from."""
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


def born_attached(tx: Transaction, disk: Disk, instance_id: str, *, delete_with_instance: bool) -> Disk:
    """A data disk that RunInstances makes: the machine is born with it."""
    return tx.put(replace(disk, instance_id=instance_id, state="ATTACHED", delete_with_instance=delete_with_instance))


def of_instance(tx: Transaction, instance_id: str) -> list[Disk]:
    """An instance's disks, the system disk first."""
    found = [one for one in tx.all(Disk) if one.instance_id == instance_id]
    return sorted(found, key=lambda one: one.usage != "SYSTEM_DISK")


def check_idle(disk: Disk, refusal: type[Refusal] = DiskChanging) -> None:
    """Raises DiskChanging, or the refusal that the action has for it."""
    if disk.state not in {"ATTACHED", "UNATTACHED"}:
        raise refusal(disk_id=disk.id, state=disk.state)


def attach(tx: Transaction, disk_id: str, instance_id: str, zone: str, *, delete_with_instance: bool) -> None:
    """Begin to attach it; the infrastructure does it."""
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
    """Begin to detach it; the infrastructure does it."""
    disk = get(tx, disk_id)
    if not disk.portable:
        raise DiskNotPortable(disk_id=disk_id)
    if not disk.instance_id or disk.instance_id != (instance_id or disk.instance_id):
        raise DiskNotAttached(disk_id=disk_id, instance_id=instance_id or "an instance")
    check_idle(disk)
    tx.put(replace(disk, state="DETACHING", step="detach", step_began=tx.now))


def terminate(tx: Transaction, disk_id: str) -> None:
    """Begin to destroy it; the infrastructure does it."""
    disk = get(tx, disk_id)
    check_idle(disk)
    if disk.instance_id:
        raise DiskNotRefundable(disk_id=disk_id, instance_id=disk.instance_id)
    tx.put(replace(disk, state="TORECYCLE", step="destroy", step_began=tx.now))


def finished(tx: Transaction, disk_id: str) -> None:
    """The infrastructure has done the disk's step."""
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
    """The infrastructure could not do the disk's step: it is where it was before."""
    disk = tx.find(Disk, disk_id)
    if disk is None or disk.step is None:
        return
    if disk.step == "grow":  # the infrastructure makes it as large as it shall be whenever it connects it
        finished(tx, disk_id)
    elif disk.step == "detach":
        tx.put(replace(disk, state="ATTACHED", step=None))
    else:
        tx.put(replace(disk, state="UNATTACHED", instance_id="", delete_with_instance=False, step=None))


def forget(tx: Transaction, disk: Disk) -> None:
    """Remove it together with its instance."""
    tag.detach_all(tx, disk.id)
    tx.delete(disk)


def resize(tx: Transaction, disk_id: str, size_gib: int) -> None:
    """Begin to let it grow; the infrastructure does it, also under a machine that has it."""
    disk = get(tx, disk_id)
    if not disk.portable:
        raise DiskNotResizable(disk_id=disk_id)
    check_idle(disk, DiskBusy)
    if size_gib <= disk.size_gib:
        raise DiskShrinks(disk_id=disk_id, present=disk.size_gib, size=size_gib)
    disk_types.check_size(disk.type, size_gib)
    tx.put(replace(disk, size_gib=size_gib, state="EXPANDING", step="grow", step_began=tx.now))


def modify(tx: Transaction, disk_id: str, *, name: str | None, delete_with_instance: bool | None) -> None:
    """Change what is given."""
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
