"""Attachment of network interfaces to instances."""

from __future__ import annotations

from dataclasses import replace

from localcloud.rules import instance, interface, subnet
from localcloud.rules.interface import Interface
from localcloud.rules.jobs import after
from localcloud.rules.refusal import Refusal, documented
from localcloud.rules.transaction import Transaction


class InterfaceOfOtherVpc(Refusal):
    """An interface and the instance must be in the same VPC."""

    code = "UnsupportedOperation.VpcMismatch"
    template = "The network interface `{interface_id}` and the instance `{instance_id}` must be in the same VPC."
    source = documented("AttachNetworkInterface: UnsupportedOperation.VpcMismatch", page="215/15819")


class InterfaceInOtherZone(Refusal):
    """An interface and the instance must be in the same zone."""

    code = "UnsupportedOperation.ZoneMismatch"
    template = "The network interface `{interface_id}` must be in zone {other} of the instance (got {zone})."
    source = documented("AttachNetworkInterface: same zone; UnsupportedOperation.ZoneMismatch", page="215/15819")


class TooManyInterfaces(Refusal):
    """An instance cannot have more interfaces than its type allows."""

    code = "LimitExceeded"
    template = "The instance `{instance_id}` of type {type} cannot have more than {limit} network interfaces."
    source = documented("ENI limits: interfaces by instance type; LimitExceeded (215/15819)", page="576/18527")


class InstanceStateForbidsInterface(Refusal):
    """An interface can be attached only to an instance that is running or stopped."""

    code = "UnsupportedOperation.InvalidState"
    template = "The instance `{instance_id}` must be in state RUNNING or STOPPED (got {state})."
    source = documented(
        "AttachNetworkInterface: a running or stopped instance; UnsupportedOperation.InvalidState", page="215/15819"
    )


class InstanceToAttachNotFound(Refusal):
    """The instance to attach to must exist."""

    code = "ResourceNotFound"
    template = "InstanceId must identify an existing instance (got `{instance_id}`)."
    source = documented("AttachNetworkInterface: ResourceNotFound", page="215/15819")


class InterfaceWithoutGroup(Refusal):
    """An interface must have a security group before it is attached."""

    code = "UnsupportedOperation"
    template = "The network interface `{interface_id}` must have at least one security group."
    source = documented(
        "AttachNetworkInterface: at least one security group is bound to the interface; UnsupportedOperation",
        page="215/15819",
    )


def attach(tx: Transaction, interface_id: str, instance_id: str) -> None:
    """AttachNetworkInterface."""
    found = interface.get(tx, interface_id)
    if found.instance_id:
        raise interface.InterfaceAttachedAlready(interface_id=interface_id, instance_id=found.instance_id)
    interface.check_idle(found)
    target = tx.find(instance.Instance, instance_id)
    if target is None:
        raise InstanceToAttachNotFound(instance_id=instance_id)
    if not found.group_ids:
        raise InterfaceWithoutGroup(interface_id=interface_id)
    _check(tx, found, target)
    indexes = {eni.device_index for eni in interface.of_instance(tx, instance_id)}
    if len(indexes) >= target.type.interfaces:
        raise TooManyInterfaces(instance_id=instance_id, type=target.instance_type, limit=target.type.interfaces)
    index = next(number for number in range(1, target.type.interfaces) if number not in indexes)
    tx.put(replace(found, state="ATTACHING", instance_id=instance_id, device_index=index, attached=tx.now))
    after(tx, tx.timing.interface_s, "interface.settled", interface_id)


def _check(tx: Transaction, found: Interface, target: instance.Instance) -> None:
    if found.vpc_id != target.vpc_id:
        raise InterfaceOfOtherVpc(interface_id=found.id, instance_id=target.id)
    zone = subnet.get(tx, found.subnet_id).zone
    if zone != target.zone:
        raise InterfaceInOtherZone(interface_id=found.id, zone=zone, other=target.zone)
    if target.state not in {"RUNNING", "STOPPED"}:
        raise InstanceStateForbidsInterface(instance_id=target.id, state=target.state)


def addresses_allowed(tx: Transaction, interface_id: str) -> int:
    """Return how many private addresses the interface can have: the limit of the instance type, or 30 if detached."""
    found = interface.get(tx, interface_id)
    owner = tx.find(instance.Instance, found.instance_id)
    return owner.type.private_addresses if owner is not None else 30
