"""Elastic network interfaces (ENI): an instance's primary one, and those made by themselves."""

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
PER_VPC = 1000  # besides the primary ones


@dataclass(frozen=True, slots=True)
class PrivateAddress:
    """One address of an interface."""

    address: IPv4Address
    primary: bool
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface(Record):
    """A network card. `instance_id` is empty while it is attached to none."""

    shapes_network: ClassVar[bool] = True

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
    """An interface that a request names must exist."""

    code = "ResourceNotFound"
    template = "The network interface `{interface_id}` does not exist."
    source = documented("DeleteNetworkInterface: ResourceNotFound", page="215/15822")


class PrimaryInterfaceStays(Refusal):
    """An instance's primary interface goes only with its instance."""

    code = "UnsupportedOperation.InvalidState"
    template = "The primary network interface `{interface_id}` of `{instance_id}` can't be detached or deleted."
    source = documented(
        "DeleteNetworkInterface, DetachNetworkInterface (215/15816): UnsupportedOperation.InvalidState; "
        "the primary interface cannot be detached: 576/18527",
        page="215/15822",
    )


class InterfaceAttached(Refusal):
    """An interface that is attached to an instance is not deleted."""

    code = "UnsupportedOperation.InvalidState"
    template = "The network interface `{interface_id}` is attached to `{instance_id}`."
    source = documented(
        "DeleteNetworkInterface: it must be detached first; UnsupportedOperation.InvalidState", page="215/15822"
    )


class InterfaceAttachedAlready(Refusal):
    """An interface is attached to one instance at a time."""

    code = "UnsupportedOperation.AttachmentAlreadyExists"
    template = "The network interface `{interface_id}` is attached to `{instance_id}`."
    source = documented(
        "AttachNetworkInterface: one instance; UnsupportedOperation.AttachmentAlreadyExists", page="215/15819"
    )


class InterfaceNotAttached(Refusal):
    """An interface is detached from the instance that it is attached to."""

    code = "UnsupportedOperation.InvalidState"
    template = "The network interface `{interface_id}` is not attached to `{instance_id}`."
    source = documented("DetachNetworkInterface: UnsupportedOperation.InvalidState", page="215/15816")


class InterfaceBusy(Refusal):
    """An interface that is being attached or detached takes no other change."""

    code = "UnsupportedOperation.InvalidState"
    template = "The network interface `{interface_id}` is in state {state}."
    source = documented(
        "AttachNetworkInterface, 215/15816, 215/15822: UnsupportedOperation.InvalidState", page="215/15819"
    )


class TooManyGroups(Refusal):
    """An interface belongs to 1 to 5 security groups."""

    code = "LimitExceeded"
    template = "A network interface takes 1 to 5 security groups; {count} were given."
    source = documented("VPC limits: 5 security groups for an instance; LimitExceeded (215/15815)", page="215/537")


class InterfaceQuota(Refusal):
    """A VPC holds at most 1,000 secondary interfaces."""

    code = "LimitExceeded.NetworkInterfaceLimitExceeded"
    template = "The number of network interfaces in VPC `{vpc_id}` has reached the limit {limit}."
    source = documented(
        "VPC limits: 1000 secondary interfaces for a VPC; code of CreateNetworkInterface", page="215/537"
    )


class DescriptionTooLong(Refusal):
    """An interface's description has at most 60 characters."""

    code = "InvalidParameterValue.TooLong"
    template = "The value of parameter `NetworkInterfaceDescription` is longer than 60 characters."
    source = documented(
        "CreateNetworkInterface: NetworkInterfaceDescription; InvalidParameterValue.TooLong", page="215/15818"
    )


def get(tx: Transaction, interface_id: str) -> Interface:
    """The interface. Raises InterfaceNotFound."""
    found = tx.find(Interface, interface_id)
    if found is None:
        raise InterfaceNotFound(interface_id=interface_id)
    return found


def mac_of(interface_id: str) -> str:
    """52:54:00 and three octets that the id decides."""
    return "52:54:00:" + hashlib.sha256(interface_id.encode()).digest()[:3].hex(":")


def check_groups(tx: Transaction, group_ids: tuple[str, ...]) -> None:
    """Raises TooManyGroups or SecurityGroupNotFound."""
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
    wanted: IPv4Address | None,
    group_ids: tuple[str, ...],
    tags: tag.Tags,
) -> Interface:
    """A new interface with that primary address, or a free one."""
    _check_texts(name, description)
    vpc.get(tx, vpc_id)
    place = subnet.get(tx, subnet_id)
    if group_ids:
        check_groups(tx, group_ids)
    if sum(one.vpc_id == vpc_id and not one.primary for one in tx.all(Interface)) >= PER_VPC:
        raise InterfaceQuota(vpc_id=vpc_id, limit=PER_VPC)
    made = _place(tx, name=name, description=description, place=place, wanted=wanted, group_ids=group_ids)
    tag.attach(tx, made.id, tags)
    after(tx, tx.timing.interface_s, "interface.settled", made.id)
    return tx.put(replace(made, state="PENDING"))


def _place(
    tx: Transaction,
    *,
    name: str,
    description: str,
    place: subnet.Subnet,
    wanted: IPv4Address | None,
    group_ids: tuple[str, ...],
) -> Interface:
    if wanted is not None:
        subnet.check_free(tx, place, wanted)
    address = wanted or subnet.free_address(tx, place)
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
    wanted: IPv4Address | None,
    group_ids: tuple[str, ...],
) -> Interface:
    """The interface that an instance is born with."""
    made = _place(
        tx,
        name="Primary ENI",
        description="Primary ENI",
        place=place,
        wanted=wanted,
        group_ids=group_ids,
    )
    return tx.put(replace(made, primary=True, instance_id=instance_id, attached=tx.now))


def move(tx: Transaction, interface_id: str, place: subnet.Subnet, wanted: IPv4Address | None) -> None:
    """ModifyInstancesVpcAttribute: another address, perhaps in another subnet."""
    moved = get(tx, interface_id)
    if wanted is not None and wanted != moved.address:
        subnet.check_free(tx, place, wanted)
    elif wanted is None:
        wanted = moved.address if moved.subnet_id == place.id else subnet.free_address(tx, place)
    tx.put(
        replace(
            moved,
            vpc_id=place.vpc_id,
            subnet_id=place.id,
            addresses=(PrivateAddress(wanted, primary=True),),
        )
    )


def modify(
    tx: Transaction, interface_id: str, *, name: str | None, description: str | None, group_ids: tuple[str, ...]
) -> None:
    """Change what is given."""
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
    """Raises InterfaceBusy."""
    if found.state != "AVAILABLE":
        raise InterfaceBusy(interface_id=found.id, state=found.state)


def detach(tx: Transaction, interface_id: str, instance_id: str) -> None:
    """Take it off an instance."""
    found = get(tx, interface_id)
    check_idle(found)
    if found.primary:
        raise PrimaryInterfaceStays(interface_id=interface_id, instance_id=instance_id)
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
    """Remove an interface that is attached to nothing."""
    found = get(tx, interface_id)
    if found.primary:
        raise PrimaryInterfaceStays(interface_id=interface_id, instance_id=found.instance_id)
    if found.instance_id:
        raise InterfaceAttached(interface_id=interface_id, instance_id=found.instance_id)
    check_idle(found)
    forget(tx, found)


def forget(tx: Transaction, found: Interface) -> None:
    """Remove it together with its instance."""
    tag.detach_all(tx, found.id)
    tx.delete(found)


def of_instance(tx: Transaction, instance_id: str) -> list[Interface]:
    """An instance's interfaces, the primary one first."""
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
