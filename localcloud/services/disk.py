"""Cloud disks."""

from __future__ import annotations

from localcloud.rules import disk, disk_types, instance, tag
from localcloud.rules.catalog import ZONES
from localcloud.rules.disk import Disk
from localcloud.rules.records import beijing_time, changed
from localcloud.rules.refusal import InvalidParameterValue
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import Filters, UnknownInstanceFilter, listed
from localcloud.services.parameters import Parameters

# Maximum disks in one request (AttachDisks, 362/16313; DetachDisks, 362/16316; creating cloud disks, 362/5744).
ATTACHED_PER_REQUEST = 10
CREATED_PER_REQUEST = 50


def show(call: Call, found: Disk) -> Answer:
    return {
        "DiskId": found.id,
        "DiskName": found.name,
        "DiskState": found.state,
        "DiskType": found.type,
        "DiskSize": found.size_gib,
        "DiskUsage": found.usage,
        "DiskChargeType": "POSTPAID_BY_HOUR",
        "Placement": {"Zone": found.zone, "ProjectId": found.project_id},
        "InstanceId": found.instance_id,
        "InstanceType": "CVM" if found.instance_id else "",
        "Attached": bool(found.instance_id) and found.state != "ATTACHING",
        "Portable": found.portable,
        "Encrypt": found.encrypted,
        "DeleteWithInstance": found.delete_with_instance,
        "ThroughputPerformance": found.throughput,
        "CreateTime": beijing_time(found.created),
        "Tags": tagging.shown(call, found.id),
    }


@action(
    "cbs",
    "CreateDisks",
    disk_types.DiskTypeUnknown,
    disk_types.DiskSizeOutOfRange,
    disk_types.DiskSizeOutOfStep,
    disk_types.DiskNameTooLong,
    disk_types.ThroughputNotSupported,
    *tag.RULES,
)
def create_disks(call: Call, given: Parameters) -> Answer:
    """Create data disks."""
    place = given.required_inside("Placement")
    charge_type = given.find_text("DiskChargeType") or "POSTPAID_BY_HOUR"
    if charge_type != "POSTPAID_BY_HOUR":
        raise InvalidParameterValue(name="DiskChargeType", value=charge_type, expected="POSTPAID_BY_HOUR")
    zone = place.text("Zone")
    if zone not in ZONES[call.region]:
        raise InvalidParameterValue(name="Placement.Zone", value=zone, expected=f"a zone of {call.region}")
    encrypt = given.find_text("Encrypt")
    if encrypt not in {None, "ENCRYPT"}:
        raise InvalidParameterValue(name="Encrypt", value=encrypt, expected="ENCRYPT")
    requested = Disk(
        name=given.find_text("DiskName") or "",
        type=given.text("DiskType"),
        size_gib=given.integer("DiskSize"),
        zone=zone,
        encrypted=encrypt is not None,
        throughput=given.integer_or("ThroughputPerformance", 0),
        project_id=place.integer_or("ProjectId", 0),
    )
    disk_types.check_new(requested.type, requested.size_gib)
    disk_types.check_throughput(requested.type, requested.throughput)
    disk_types.check_name(requested.name, disk_types.NAME_LIMIT)
    count = given.integer_in("DiskCount", 1, CREATED_PER_REQUEST, default=1)
    tags = tagging.given(given)
    return {"DiskIdSet": [disk.create(call.tx, requested, tags).id for _ in range(count)]}


@action("cbs", "DescribeDisks", UnknownInstanceFilter)
def describe_disks(call: Call, _given: Parameters) -> Answer:
    """List disks."""
    filters: Filters[Disk] = {
        "disk-usage": lambda one: [one.usage],
        "disk-charge-type": lambda _: ["POSTPAID_BY_HOUR"],
        "portable": lambda one: ["TRUE" if one.portable else "FALSE"],
        "project-id": lambda one: [str(one.project_id)],
        "disk-id": lambda one: [one.id],
        "disk-name": lambda one: [one.name],
        "disk-type": lambda one: [one.type],
        "disk-state": lambda one: [one.state],
        "instance-id": lambda one: [one.instance_id],
        "zone": lambda one: [one.zone],
        "encrypt": lambda one: ["TRUE" if one.encrypted else "FALSE"],
    }
    return listed(call, "DiskSet", Disk, show, filters, ids="DiskIds", refusal=UnknownInstanceFilter)


@action(
    "cbs",
    "AttachDisks",
    disk.DiskNotFound,
    disk.DiskChanging,
    disk.DiskAttached,
    disk.DiskNotPortable,
    disk.DiskZoneMismatch,
    disk.TooManyDisks,
    disk.InstanceCannotAttachDisk,
    instance.InstanceNotFound,
)
def attach_disks(call: Call, given: Parameters) -> None:
    """Attach data disks to an instance."""
    instance_id = given.text("InstanceId")
    target = call.tx.find(instance.Instance, instance_id)
    if target is None:
        raise instance.InstanceNotFound(got=instance_id)
    if target.state in {"PENDING", "LAUNCH_FAILED", "TERMINATING"}:
        raise disk.InstanceCannotAttachDisk(got=target.state, instance_id=instance_id)
    for disk_id in given.required_texts("DiskIds", limit=ATTACHED_PER_REQUEST):
        disk.attach(call.tx, disk_id, target.id, target.zone, delete_with_instance=given.flag("DeleteWithInstance"))


@action("cbs", "DetachDisks", disk.DiskNotFound, disk.DiskChanging, disk.DiskNotAttached, disk.DiskNotPortable)
def detach_disks(call: Call, given: Parameters) -> None:
    """Detach data disks of one instance."""
    instance_id = given.find_text("InstanceId")
    for disk_id in given.required_texts("DiskIds", limit=ATTACHED_PER_REQUEST):
        instance_id = disk.detach(call.tx, disk_id, instance_id)


@action(
    "cbs",
    "ResizeDisk",
    disk.DiskNotFound,
    disk.DiskBusy,
    disk.DiskShrinks,
    disk_types.DiskSizeOutOfRange,
    disk_types.DiskSizeOutOfStep,
    disk.DiskNotResizable,
)
def resize_disk(call: Call, given: Parameters) -> None:
    """Expand a disk."""
    disk.resize(call.tx, given.text("DiskId"), given.integer("DiskSize"))


@action("cbs", "ModifyDiskAttributes", disk.DiskNotFound, disk_types.DiskNameTooLong)
def modify_disk_attributes(call: Call, given: Parameters) -> None:
    """Change the names and projects of disks, and whether they are deleted with their instance."""
    attributes = {
        "name": given.find_text("DiskName"),
        "project_id": given.find_integer("ProjectId"),
        "delete_with_instance": given.find_flag("DeleteWithInstance"),
    }
    for disk_id in given.required_texts("DiskIds"):
        disk.change(call.tx, changed(disk.get(call.tx, disk_id), attributes))


@action("cbs", "TerminateDisks", disk.DiskNotFound, disk.DiskChanging, disk.DiskNotRefundable)
def terminate_disks(call: Call, given: Parameters) -> None:
    """Delete detached data disks."""
    for disk_id in given.required_texts("DiskIds"):
        disk.terminate(call.tx, disk_id)
