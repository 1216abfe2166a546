"""Elastic network interfaces (ENI): primary interfaces of instances, and secondary ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import ClassVar

from localcloud.rules import references, security_group, subnet, tag, vpc
from localcloud.rules.jobs import after, step
from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal, check_bytes, documented
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 60
GROUPS_LIMIT = 5
MAX_PER_VPC = 1000  # in addition to the primary ones


@dataclass(frozen=True, slots=True)
class PrivateAddress:
    """A private address of an interface."""

    address: IPv4Address
    primary: bool
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface(Record):
    """A network interface. `instance_id` is empty while the interface is not attached."""

    affects_network_plan: ClassVar[bool] = True

    name: str
    description: str
    vpc_id: str
    subnet_id: str
    mac: str
    addresses: tuple[PrivateAddress, ...]
    group_ids: tuple[str, ...]
    primary: bool = False
    instance_id: str = ""
    device_index: int = 0
    attached: float = 0.0
    state: str = "AVAILABLE"  # PENDING, AVAILABLE, ATTACHING, DETACHING

    @property
    def address(self) -> IPv4Address:
        """The primary private address."""
        return next(entry.address for entry in self.addresses if entry.primary)


class InterfaceNotFound(Refusal):
    """NetworkInterfaceId must identify an existing network interface."""

    code = "ResourceNotFound"
    template = "NetworkInterfaceId must identify an existing network interface (got `{interface_id}`)."
    source = documented("DeleteNetworkInterface: ResourceNotFound", page="215/15822")


class PrimaryInterfaceNotDetachable(Refusal):
    """The primary interface of an instance cannot be detached or deleted separately."""

    code = "UnsupportedOperation.InvalidState"
    template = (
        "The primary network interface `{interface_id}` cannot be detached from or deleted without `{instance_id}`."
    )
    source = documented(
        "DeleteNetworkInterface, DetachNetworkInterface (215/15816): UnsupportedOperation.InvalidState; "
        "the primary interface cannot be detached: 576/18527",
        page="215/15822",
    )


class InterfaceAttached(Refusal):
    """An interface cannot be deleted while it is attached to an instance."""

    code = "UnsupportedOperation.InvalidState"
    template = "The network interface `{interface_id}` cannot be deleted while it is attached to `{instance_id}`."
    source = documented(
        "DeleteNetworkInterface: it must be detached first; UnsupportedOperation.InvalidState", page="215/15822"
    )


class InterfaceAttachedAlready(Refusal):
    """An interface can be attached to only one instance."""

    code = "UnsupportedOperation.AttachmentAlreadyExists"
    template = "The network interface `{interface_id}` must not be attached (attached to `{instance_id}`)."
    source = documented(
        "AttachNetworkInterface: one instance; UnsupportedOperation.AttachmentAlreadyExists", page="215/15819"
    )


class InterfaceNotAttached(Refusal):
    """An interface can be detached only from the instance to which it is attached."""

    code = "UnsupportedOperation.InvalidState"
    template = "The network interface `{interface_id}` must be attached to `{instance_id}`."
    source = documented("DetachNetworkInterface: UnsupportedOperation.InvalidState", page="215/15816")


class InterfaceBusy(Refusal):
    """An interface cannot be changed while it is being attached or detached."""

    code = "UnsupportedOperation.InvalidState"
    template = "The network interface `{interface_id}` must be in state AVAILABLE (got {state})."
    source = documented(
        "AttachNetworkInterface, 215/15816, 215/15822: UnsupportedOperation.InvalidState", page="215/15819"
    )


class TooManyGroups(Refusal):
    """An interface must have 1 to 5 security groups."""

    code = "LimitExceeded"
    template = "A network interface must have 1 to 5 security groups (got {count})."
    source = documented("VPC limits: 5 security groups for each instance; LimitExceeded (215/15815)", page="215/537")


class InterfaceQuota(Refusal):
    """A VPC can have at most 1,000 secondary interfaces."""

    code = "LimitExceeded.NetworkInterfaceLimitExceeded"
    template = "The VPC `{vpc_id}` cannot have more than {limit} secondary network interfaces."
    source = documented(
        "VPC limits: 1000 secondary interfaces for each VPC; code of CreateNetworkInterface",
        page="215/537",
    )


class DescriptionTooLong(Refusal):
    """An interface description must not exceed 60 characters."""

    code = "InvalidParameterValue.TooLong"
    template = "The parameter `NetworkInterfaceDescription` must not be longer than 60 characters."
    source = documented(
        "CreateNetworkInterface: NetworkInterfaceDescription; InvalidParameterValue.TooLong", page="215/15818"
    )


def get(tx: Transaction, interface_id: str) -> Interface:
    """Return the interface. Raises: InterfaceNotFound."""
    found = tx.find(Interface, interface_id)
    if found is None:
        raise InterfaceNotFound(interface_id=interface_id)
    return found


def mac_of(interface_id: str) -> str:
    """Return a MAC address: 52:54:00 and three octets derived from the ID."""
    return "52:54:00:" + hashlib.sha256(interface_id.encode()).digest()[:3].hex(":")


def check_groups(tx: Transaction, group_ids: tuple[str, ...]) -> None:
    """Raises: TooManyGroups or SecurityGroupNotFound."""
    if not 1 <= len(group_ids) <= GROUPS_LIMIT:
        raise TooManyGroups(count=len(group_ids))
    for group_id in group_ids:
        security_group.get(tx, group_id)


def _check_texts(name: str, description: str) -> None:
    check_bytes("NetworkInterfaceName", name, NAME_LIMIT)
    if len(description) > NAME_LIMIT:
        raise DescriptionTooLong


def create(
    tx: Transaction,
    *,
    name: str,
    description: str,
    vpc_id: str,
    subnet_id: str,
    requested: IPv4Address | None,
    group_ids: tuple[str, ...],
    tags: tag.Tags,
) -> Interface:
    """Create an interface with the given primary address, or the lowest free one."""
    _check_texts(name, description)
    vpc.get(tx, vpc_id)
    place = subnet.get(tx, subnet_id)
    if group_ids:
        check_groups(tx, group_ids)
    if sum(one.vpc_id == vpc_id and not one.primary for one in tx.all(Interface)) >= MAX_PER_VPC:
        raise InterfaceQuota(vpc_id=vpc_id, limit=MAX_PER_VPC)
    made = _place(tx, name=name, description=description, place=place, requested=requested, group_ids=group_ids)
    tag.attach(tx, made.id, tags)
    after(tx, tx.timing.interface_s, "interface.settled", made.id)
    return tx.put(replace(made, state="PENDING"))


def _place(
    tx: Transaction,
    *,
    name: str,
    description: str,
    place: subnet.Subnet,
    requested: IPv4Address | None,
    group_ids: tuple[str, ...],
) -> Interface:
    if requested is not None:
        subnet.check_free(tx, place, requested)
    address = requested or subnet.free_address(tx, place)
    interface_id = tx.new_id("eni")
    return Interface(
        id=interface_id,
        region=tx.region,
        created=tx.now,
        name=name,
        description=description,
        vpc_id=place.vpc_id,
        subnet_id=place.id,
        mac=mac_of(interface_id),
        addresses=(PrivateAddress(address, primary=True),),
        group_ids=group_ids,
    )


def create_primary(
    tx: Transaction,
    *,
    instance_id: str,
    place: subnet.Subnet,
    requested: IPv4Address | None,
    group_ids: tuple[str, ...],
) -> Interface:
    """Create the primary interface of a new instance."""
    made = _place(
        tx,
        name="Primary ENI",
        description="Primary ENI",
        place=place,
        requested=requested,
        group_ids=group_ids,
    )
    return tx.put(replace(made, primary=True, instance_id=instance_id, attached=tx.now))


def move(tx: Transaction, interface_id: str, place: subnet.Subnet, requested: IPv4Address | None) -> None:
    """ModifyInstancesVpcAttribute: change the primary address and optionally the subnet."""
    moved = get(tx, interface_id)
    if requested is not None and requested != moved.address:
        subnet.check_free(tx, place, requested)
    elif requested is None:
        requested = moved.address if moved.subnet_id == place.id else subnet.free_address(tx, place)
    tx.put(
        replace(
            moved,
            vpc_id=place.vpc_id,
            subnet_id=place.id,
            addresses=(PrivateAddress(requested, primary=True),),
        )
    )


def modify(
    tx: Transaction, interface_id: str, *, name: str | None, description: str | None, group_ids: tuple[str, ...]
) -> None:
    """Change the given attributes; None leaves an attribute unchanged."""
    present = get(tx, interface_id)
    _check_texts(name or "", description or "")
    if group_ids:
        check_groups(tx, group_ids)
    tx.put(
        replace(
            present,
            name=present.name if name is None else name,
            description=present.description if description is None else description,
            group_ids=group_ids or present.group_ids,
        )
    )


def check_idle(found: Interface) -> None:
    """Raises: InterfaceBusy."""
    if found.state != "AVAILABLE":
        raise InterfaceBusy(interface_id=found.id, state=found.state)


def detach(tx: Transaction, interface_id: str, instance_id: str) -> None:
    """Detach an interface from its instance."""
    found = get(tx, interface_id)
    check_idle(found)
    if found.primary:
        raise PrimaryInterfaceNotDetachable(interface_id=interface_id, instance_id=instance_id)
    if found.instance_id != instance_id:
        raise InterfaceNotAttached(interface_id=interface_id, instance_id=instance_id)
    tx.put(replace(found, state="DETACHING"))
    after(tx, tx.timing.interface_s, "interface.detached", interface_id)


@step("interface.settled")
def _settled(tx: Transaction, interface_id: str) -> None:
    found = tx.find(Interface, interface_id)
    if found is not None:
        tx.put(replace(found, state="AVAILABLE"))


@step("interface.detached")
def _detached(tx: Transaction, interface_id: str) -> None:
    found = tx.find(Interface, interface_id)
    if found is not None:
        tx.put(replace(found, state="AVAILABLE", instance_id="", device_index=0, attached=0.0))


def delete(tx: Transaction, interface_id: str) -> None:
    """Delete a detached interface. Raises: PrimaryInterfaceNotDetachable, InterfaceAttached."""
    found = get(tx, interface_id)
    if found.primary:
        raise PrimaryInterfaceNotDetachable(interface_id=interface_id, instance_id=found.instance_id)
    if found.instance_id:
        raise InterfaceAttached(interface_id=interface_id, instance_id=found.instance_id)
    check_idle(found)
    forget(tx, found)


def forget(tx: Transaction, found: Interface) -> None:
    """Delete an interface together with its instance."""
    tag.detach_all(tx, found.id)
    tx.delete(found)


def of_instance(tx: Transaction, instance_id: str) -> list[Interface]:
    """Return the interfaces of an instance, the primary one first."""
    found = [one for one in tx.all(Interface) if one.instance_id == instance_id]
    return sorted(found, key=lambda one: one.device_index)


@subnet.occupies
def _addresses(tx: Transaction, subnet_id: str) -> list[subnet.Occupied]:
    return [
        subnet.Occupied(
            entry.address,
            "CVM" if one.primary else "ENI",
            one.instance_id if one.primary else one.id,
        )
        for one in tx.all(Interface)
        if one.subnet_id == subnet_id
        for entry in one.addresses
    ]


@references.uses(security_group.SecurityGroup)
def _in_group(tx: Transaction, group_id: str) -> list[str]:
    return [one.instance_id or one.id for one in tx.all(Interface) if group_id in one.group_ids]
