"""Operations on existing instances: start, stop, terminate, resize, reset, and changes of attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from localcloud.rules import (
    disk,
    disk_types,
    instance,
    instance_attributes,
    instance_state,
    interface,
    key_pair,
    placement,
)
from localcloud.rules.catalog import INSTANCE_TYPES
from localcloud.rules.instance import Instance, Step
from localcloud.rules.jobs import after, step
from localcloud.rules.records import changed
from localcloud.rules.refusal import InvalidParameterValue, assumed, documented, rule
from localcloud.rules.transaction import Transaction

_RESIZE_DISKS = "213/15731"

_RESIZE_INSTANCE_DISKS = documented("ResizeInstanceDisks", page=_RESIZE_DISKS)
AlreadyInPlacementGroup = rule(
    "FailedOperation.AlreadyInDisasterRecoverGroup",
    "An instance cannot be moved to the placement group that it is already in.",
    documented("ModifyInstancesDisasterRecoverGroup: error code", page="213/115717"),
)
KeyNotOnInstance = rule(
    "InvalidParameterValue",
    "A key pair to disassociate must be associated with the instance.",
    assumed("DisassociateInstancesKeyPairs (213/15697) does not document the case of a missing key"),
)
TypeNotOffered = rule(
    "ResourceNotFound.InvalidZoneInstanceType",
    "The new type of an instance must be available in its zone.",
    documented("ResetInstancesType", page="213/15744"),
)
SystemDiskTypeFixed = rule(
    "UnsupportedOperation.SystemDiskType",
    "An instance can be resized or reinstalled only if its system disk is CLOUD_BASIC, -PREMIUM, -SSD or -BSSD.",
    documented("ResetInstancesType, ResetInstance (213/15724): system disk types", page="213/15744"),
)
DataDiskElastic = rule(
    "UnsupportedOperation.InvalidDataDisk", "A data disk must be resized with ResizeDisk.", _RESIZE_INSTANCE_DISKS
)
SystemDiskTypeNotChangeable = rule(
    "InvalidParameterValue", "The type of a system disk cannot be changed when it is resized.", _RESIZE_INSTANCE_DISKS
)
SystemDiskShrinks = rule(
    "InvalidParameterValue",
    "The new size of a system disk must be larger than the current size.",
    _RESIZE_INSTANCE_DISKS,
)


def _check_system_disk(tx: Transaction, found: Instance) -> None:
    kind = disk.get(tx, found.system_disk_id).type
    if kind not in disk_types.CHANGEABLE:
        raise SystemDiskTypeFixed(got=kind, instance_id=found.id)


def _begin(
    tx: Transaction, found: Instance, operation: str, *steps: Step, state: str | None = None, delay_s: float
) -> Instance:
    """Start an operation. Its state is OPERATING until the infrastructure has completed the steps."""
    changed = replace(
        found,
        state=state or found.state,
        steps=steps,
        steps_began=tx.now,
        steps_delay_s=delay_s,
        operation=operation,
        operation_id=tx.request_id,
        operation_state="OPERATING",
        operation_error="",
    )
    if not steps:
        after(tx, delay_s, "instance.changed", found.id)
    return tx.put(changed)


@step("instance.changed")
def _changed(tx: Transaction, instance_id: str) -> None:
    found = tx.find(Instance, instance_id)
    if found is not None and not found.steps and found.operation_state == "OPERATING":
        tx.put(replace(found, operation_state="SUCCESS"))


def finished(tx: Transaction, instance_id: str) -> None:
    """Record that the infrastructure has completed the steps of the instance."""
    found = tx.find(Instance, instance_id)
    if found is None or not found.steps:
        return
    if "destroy" in found.steps:
        instance.forget(tx, found)
        return
    state = "STOPPED" if found.steps[-1] in {"stop", "cut"} else "RUNNING"
    tx.put(replace(found, state=state, steps=(), operation_state="SUCCESS"))


def failed(tx: Transaction, instance_id: str, error: str, *, running: bool) -> None:
    """Record that the infrastructure failed to complete the steps; `running`: whether the instance runs regardless."""
    found = tx.find(Instance, instance_id)
    if found is None or not found.steps:
        return
    born = found.operation == "RunInstances"
    state = "LAUNCH_FAILED" if born else "RUNNING" if running else "STOPPED"
    tx.put(replace(found, state=state, steps=(), operation_state="FAILED", operation_error=error))


def restore(tx: Transaction, instance_id: str) -> None:
    """Boot an instance again that should run but was not running when localcloud restarted."""
    found = tx.find(Instance, instance_id)
    if found is not None:
        tx.put(replace(found, steps=("start",), steps_began=tx.now, steps_delay_s=0.0))


def start(tx: Transaction, instance_ids: tuple[str, ...]) -> None:
    for instance_id in instance_ids:
        found = instance_state.get_in(tx, instance_id, "STOPPED")
        _begin(tx, found, "StartInstances", "start", state="STARTING", delay_s=tx.timing.instance_start_s)


def stop(tx: Transaction, instance_ids: tuple[str, ...], *, hard: bool, stop_charging: bool) -> None:
    for instance_id in instance_ids:
        found = replace(instance_state.get_in(tx, instance_id, "RUNNING"), stop_charging=stop_charging)
        kind: Step = "cut" if hard else "stop"
        _begin(tx, found, "StopInstances", kind, state="STOPPING", delay_s=tx.timing.instance_stop_s)


def terminate(tx: Transaction, instance_ids: tuple[str, ...]) -> None:
    """TerminateInstances. An instance billed by the hour is deleted immediately, without a recycle bin."""
    for instance_id in instance_ids:
        found = instance_state.get_in(tx, instance_id, "RUNNING", "STOPPED", "LAUNCH_FAILED")
        if found.protected:
            raise instance.InstanceProtected(instance_id=instance_id)
        delay_s = tx.timing.instance_terminate_s
        _begin(tx, found, "TerminateInstances", "destroy", state="TERMINATING", delay_s=delay_s)


def _restart_with(tx: Transaction, changed: Instance, operation: str, *, force: bool) -> None:
    """Make a change that requires a stopped instance. A running instance is restarted if `force` permits it."""
    if changed.state == "STOPPED":
        _begin(tx, changed, operation, delay_s=tx.timing.instance_change_s)
        return
    if not force:
        raise instance_state.InstanceIsRunning(got=changed.state, instance_id=changed.id)
    _begin(tx, changed, operation, "stop", "start", delay_s=tx.timing.instance_change_s)


def resize(tx: Transaction, instance_ids: tuple[str, ...], instance_type: str, *, force: bool) -> None:
    if instance_type not in INSTANCE_TYPES:
        raise TypeNotOffered(got=instance_type)
    for instance_id in instance_ids:
        found = instance_state.get_changeable(tx, instance_id)
        _check_system_disk(tx, found)
        _restart_with(tx, replace(found, instance_type=instance_type), "ResetInstancesType", force=force)


def reset(tx: Transaction, instance_id: str, attributes: Mapping[str, object]) -> None:
    """ResetInstance: replace the system disk, and change the image, host name, key pairs or user data if given."""
    found = instance_state.get_changeable(tx, instance_id)
    _check_system_disk(tx, found)
    new = changed(found, attributes)
    instance.image(tx, new.image_id)
    _check_attributes(found, new)
    for key_id in new.key_ids:
        key_pair.get_for_instance(tx, key_id)
    _begin(tx, new, "ResetInstance", "reset", delay_s=tx.timing.instance_change_s)


def _check_attributes(present: Instance, new: Instance) -> None:
    # A name that was set at creation can be longer than a later one.
    limit = instance_attributes.NAME_LIMIT if new.name == present.name else instance_attributes.NEW_NAME_LIMIT
    instance_attributes.check(new, limit)
    instance_attributes.check_hostname(new.hostname)


def resize_system_disk(
    tx: Transaction, instance_id: str, *, kind: str | None, size_gib: int | None, force: bool
) -> None:
    found = instance_state.get_changeable(tx, instance_id)
    present = disk.get(tx, found.system_disk_id)
    size_gib = present.size_gib if size_gib is None else size_gib
    if kind is not None and kind != present.type:
        raise SystemDiskTypeNotChangeable(instance_id=instance_id, present=present.type)
    if size_gib <= present.size_gib:
        raise SystemDiskShrinks(instance_id=instance_id, present=present.size_gib, size=size_gib)
    disk_types.check_system_size(size_gib)
    tx.put(replace(present, size_gib=size_gib))
    _restart_with(tx, found, "ResizeInstanceDisks", force=force)


def associate_keys(tx: Transaction, instance_ids: tuple[str, ...], key_ids: tuple[str, ...], *, force: bool) -> None:
    """AssociateInstancesKeyPairs: replace the key pairs."""
    for key_id in key_ids:
        key_pair.get(tx, key_id)
    for instance_id in instance_ids:
        found = instance_state.get_changeable(tx, instance_id)
        _restart_with(
            tx, replace(found, key_ids=tuple(dict.fromkeys(key_ids))), "AssociateInstancesKeyPairs", force=force
        )


def disassociate_keys(tx: Transaction, instance_ids: tuple[str, ...], key_ids: tuple[str, ...], *, force: bool) -> None:
    for instance_id in instance_ids:
        found = instance_state.get_changeable(tx, instance_id)
        for key_id in key_ids:
            if key_id not in found.key_ids:
                raise KeyNotOnInstance(key_id=key_id, instance_id=instance_id)
        keys = tuple(key_id for key_id in found.key_ids if key_id not in key_ids)
        _restart_with(tx, replace(found, key_ids=keys), "DisassociateInstancesKeyPairs", force=force)


def change_bandwidth(
    tx: Transaction, instance_ids: tuple[str, ...], *, charge_type: str | None, bandwidth_mbps: int
) -> None:
    """ResetInstancesInternetMaxBandwidth: only InternetMaxBandwidthOut can be changed (213/15721)."""
    for instance_id in instance_ids:
        found = instance_state.get_changeable(tx, instance_id)
        current = found.internet_charge_type
        if charge_type not in {None, current}:
            raise InvalidParameterValue(name="InternetChargeType", value=charge_type, expected=f"absent or {current}")
        changed = replace(found, bandwidth_mbps=bandwidth_mbps)
        _begin(tx, changed, "ResetInstancesInternetMaxBandwidth", delay_s=tx.timing.instance_change_s)


def move(
    tx: Transaction, instance_id: str, vpc_id: str, subnet_id: str, address: IPv4Address | None, *, force: bool
) -> None:
    """ModifyInstancesVpcAttribute: change the private address, and optionally the subnet, within the zone."""
    found = instance_state.get_changeable(tx, instance_id)
    present = interface.get(tx, found.interface_id)
    unchanged = present.address == address and present.subnet_id == subnet_id

    place = instance.check_place(tx, vpc_id, subnet_id, found.zone, None if unchanged else address)
    interface.move(tx, found.interface_id, place, address)
    changed = replace(found, vpc_id=vpc_id, subnet_id=subnet_id)
    _restart_with(tx, changed, "ModifyInstancesVpcAttribute", force=force)


def modify(
    tx: Transaction, instance_id: str, attributes: Mapping[str, object], group_ids: tuple[str, ...] | None
) -> None:
    found = instance.get(tx, instance_id)
    new = changed(found, attributes)
    _check_attributes(found, new)
    if group_ids is not None:
        instance.check_groups(tx, group_ids)
        tx.put(replace(interface.get(tx, found.interface_id), group_ids=group_ids))
    if attributes.get("hostname") is not None and found.state == "RUNNING":
        # The instance is restarted immediately, according to the page of ModifyInstancesAttribute.
        instance_state.get_in(tx, instance_id, "RUNNING")
        _restart_with(tx, new, "ModifyInstancesAttribute", force=True)
    elif attributes.get("user_data") is None:
        tx.put(new)
    else:
        instance_state.get_changeable(tx, instance_id)
        _begin(tx, new, "ModifyInstancesAttribute", delay_s=tx.timing.instance_change_s)


def change_placement(tx: Transaction, instance_ids: tuple[str, ...], group_id: str) -> None:
    """ModifyInstancesDisasterRecoverGroup. An empty group ID removes the instance from its group."""
    for instance_id in instance_ids:
        found = instance_state.get_changeable(tx, instance_id)
        if group_id:
            group = placement.get_for_instance(tx, group_id)
            if found.placement_group_id == group_id:
                raise AlreadyInPlacementGroup(instance_id=instance_id, group_id=group_id)
            placement.check_capacity(tx, group, 1)
        _begin(
            tx,
            replace(found, placement_group_id=group_id),
            "ModifyInstancesDisasterRecoverGroup",
            delay_s=tx.timing.instance_change_s,
        )


def change_project(tx: Transaction, instance_ids: tuple[str, ...], project_id: int) -> None:
    for instance_id in instance_ids:
        tx.put(replace(instance.get(tx, instance_id), project_id=project_id))
