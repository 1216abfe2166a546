"""Network interfaces (ENI). Every instance has one, its primary interface."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import ClassVar

from localcloud.rules import references, security_group, subnet
from localcloud.rules.records import Record
from localcloud.rules.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface(Record):
    affects_network_plan: ClassVar[bool] = True

    instance_id: str
    vpc_id: str
    subnet_id: str
    mac: str
    address: IPv4Address
    group_ids: tuple[str, ...]


def get(tx: Transaction, interface_id: str) -> Interface:
    """Return the interface of a record; requests name instances."""
    found = tx.find(Interface, interface_id)
    assert found is not None, interface_id
    return found


def mac_of(interface_id: str) -> str:
    """Return a MAC address: 52:54:00 and three octets derived from the ID."""
    return "52:54:00:" + hashlib.sha256(interface_id.encode()).digest()[:3].hex(":")


def create(
    tx: Transaction,
    *,
    instance_id: str,
    place: subnet.Subnet,
    requested: IPv4Address | None,
    group_ids: tuple[str, ...],
) -> Interface:
    """Create the interface of a new instance with the given address, or the lowest free one."""
    if requested is not None:
        subnet.check_free(tx, place, requested)
    interface_id = tx.new_id("eni")
    return tx.put(
        Interface(
            id=interface_id,
            region=tx.region,
            created=tx.now,
            instance_id=instance_id,
            vpc_id=place.vpc_id,
            subnet_id=place.id,
            mac=mac_of(interface_id),
            address=requested or subnet.free_address(tx, place),
            group_ids=group_ids,
        )
    )


def move(tx: Transaction, interface_id: str, place: subnet.Subnet, requested: IPv4Address | None) -> None:
    """ModifyInstancesVpcAttribute: change the address and optionally the subnet."""
    moved = get(tx, interface_id)
    if requested is not None and requested != moved.address:
        subnet.check_free(tx, place, requested)
    elif requested is None:
        requested = moved.address if moved.subnet_id == place.id else subnet.free_address(tx, place)
    tx.put(replace(moved, vpc_id=place.vpc_id, subnet_id=place.id, address=requested))


@subnet.occupies
def _addresses(tx: Transaction, subnet_id: str) -> list[subnet.Occupied]:
    return [
        subnet.Occupied(eni.address, "CVM", eni.instance_id) for eni in tx.all(Interface) if eni.subnet_id == subnet_id
    ]


@references.uses(security_group.SecurityGroup)
def _in_group(tx: Transaction, group_id: str) -> list[str]:
    return [eni.instance_id for eni in tx.all(Interface) if group_id in eni.group_ids]
