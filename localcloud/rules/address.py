"""Elastic public addresses (EIP): the record, and its life but for charge (address_charge.py) and binding."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import ClassVar

from localcloud.rules import havip, instance, interface, public_pool, references, tag, task
from localcloud.rules.jobs import after, step
from localcloud.rules.records import Record, beijing_time
from localcloud.rules.refusal import Refusal, documented
from localcloud.rules.transaction import Transaction

QUOTA = 20
DAILY_QUOTA = 2 * QUOTA
DEFAULT_NAME = "未命名"
NAME_LIMIT = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Address(Record):
    """A public address. `target_id` is the instance, interface, HAVIP or NAT gateway that it is bound to."""

    shapes_network: ClassVar[bool] = True

    name: str
    ip: IPv4Address
    status: str  # CREATING, BINDING, BIND, BIND_ENI, UNBINDING, UNBIND, OFFLINING
    type: str
    charge_type: str  # "" with a traditional account
    bandwidth_mbps: int  # 0 with a traditional account
    isp: str = "BGP"
    egress: str = "center_egress1"
    target_id: str = ""
    interface_id: str = ""
    private_address: IPv4Address | None = None
    charge_type_changes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationDay(Record):
    """How many EIPs a region has allocated on a day of Beijing's; the id is `region/date`."""

    count: int


class AddressNotFound(Refusal):
    """An EIP that a request names must exist."""

    code = "InvalidAddressId.NotFound"
    template = "The address `{address_id}` does not exist."
    source = documented("ReleaseAddresses and the other actions on EIPs: InvalidAddressId.NotFound", page="215/16705")


class AddressIdMalformed(Refusal):
    """An EIP's id is `eip-` and 8 letters or digits."""

    code = "InvalidParameterValue.AddressIdMalformed"
    template = "The address id `{address_id}` is malformed."
    source = documented("ReleaseAddresses: ids as eip-11112222; .AddressIdMalformed", page="215/16705")


class AddressQuota(Refusal):
    """A region holds at most 20 EIPs."""

    code = "AddressQuotaLimitExceeded"
    template = "The number of addresses would be {count}; the limit is {limit}."
    source = documented("EIP limits: 20 in a region; AllocateAddresses: AddressQuotaLimitExceeded", page="1199/41648")


class DailyAddressQuota(Refusal):
    """A region allocates at most 40 EIPs a day, released ones included."""

    code = "AddressQuotaLimitExceeded.DailyAllocate"
    template = "The number of addresses allocated today would be {count}; the limit is {limit}."
    source = documented(
        "EIP limits: twice the quota a day; AllocateAddresses: AddressQuotaLimitExceeded.DailyAllocate",
        page="1199/41648",
    )


class NameMalformed(Refusal):
    """An EIP's name has letters, Chinese characters, digits, hyphens and underscores, and no spaces."""

    code = "InvalidParameterValue"
    template = "The address name `{name}` is not valid: letters, Chinese characters, digits, `-` and `_` only."
    source = documented("ModifyAddressAttribute: AddressName; InvalidParameterValue", page="215/16704")


class NameTooLong(Refusal):
    """An EIP's name has at most 128 characters."""

    code = "InvalidParameterValue.TooLong"
    template = "The value of parameter `AddressName` is longer than 128 characters."
    source = documented("ModifyAddressAttribute: AddressName; InvalidParameterValue.TooLong", page="215/16704")


class AddressBusy(Refusal):
    """An EIP with a task under way takes no other change."""

    code = "OperationDenied.MutexTaskRunning"
    template = "A task is running on address `{address_id}`: status {status}."
    source = documented("ReleaseAddresses and the others: OperationDenied.MutexTaskRunning", page="215/16705")


class AddressStillBound(Refusal):
    """A bound EIP is not released."""

    code = "InvalidAddressState"
    template = "The address `{address_id}` in status {status} can't be released: unbind it first."
    source = documented("ReleaseAddresses: only in status UNBIND; InvalidAddressState", page="215/16705")


class PublicAddressNotFound(Refusal):
    """The public address that a request names is one of the region's EIPs."""

    code = "ResourceNotFound"
    template = "The address `{ip}` does not exist."
    source = documented("HaVipAssociateAddressIp: AddressIp; ResourceNotFound", page="215/30649")


def get(tx: Transaction, address_id: str) -> Address:
    """The EIP. Raises AddressIdMalformed or AddressNotFound."""
    if not re.fullmatch(r"eip-[0-9a-z]{8}", address_id):
        raise AddressIdMalformed(address_id=address_id)
    found = tx.find(Address, address_id)
    if found is None:
        raise AddressNotFound(address_id=address_id)
    return found


def find_by_ip(tx: Transaction, ip: str) -> Address | None:
    """The EIP with that public address, or None."""
    return next((found for found in tx.all(Address) if str(found.ip) == ip), None)


def by_ip(tx: Transaction, ip: str) -> Address:
    """The EIP with that public address. Raises PublicAddressNotFound."""
    found = find_by_ip(tx, ip)
    if found is None:
        raise PublicAddressNotFound(ip=ip)
    return found


def of_target(tx: Transaction, target_id: str) -> list[Address]:
    """The EIPs that are bound (or being bound) to a resource."""
    return [one for one in tx.all(Address) if one.target_id == target_id]


def allocated_today(tx: Transaction) -> AllocationDay:
    """How many EIPs this region has allocated today."""
    day_id = f"{tx.region}/{beijing_time(tx.now)[:10]}"
    found = tx.find(AllocationDay, day_id)
    return found or AllocationDay(id=day_id, region=tx.region, created=tx.now, count=0)


def _check_name(name: str) -> None:
    if len(name) > NAME_LIMIT:
        raise NameTooLong
    # \w without the scripts that the page does not name.
    if not re.fullmatch(r"[A-Za-z0-9_\u4e00-\u9fff-]*", name):
        raise NameMalformed(name=name)


def allocate(
    tx: Transaction,
    count: int,
    *,
    name: str,
    kind: str,
    charge_type: str,
    bandwidth_mbps: int,
    isp: str,
    egress: str,
    tags: tag.Tags,
) -> tuple[list[Address], str]:
    """New EIPs in status CREATING, and the id of the task that ends it."""
    _check_name(name)
    _count_allocation(tx, count)
    made: list[Address] = []
    for _ in range(count):
        one = tx.put(
            Address(
                id=tx.new_id("eip"),
                region=tx.region,
                created=tx.now,
                name=name or DEFAULT_NAME,
                ip=public_pool.free_address(tx),
                status="CREATING",
                type=kind,
                charge_type=charge_type,
                bandwidth_mbps=bandwidth_mbps,
                isp=isp,
                egress=egress,
            )
        )
        tag.attach(tx, one.id, tags)
        after(tx, tx.timing.address_s, "address.settled", one.id)
        made.append(one)
    return made, task.begin(tx, tx.timing.address_s)


def _count_allocation(tx: Transaction, count: int) -> None:
    total = len(tx.all(Address)) + count
    if total > QUOTA:
        raise AddressQuota(count=total, limit=QUOTA)
    today = allocated_today(tx)
    if today.count + count > DAILY_QUOTA:
        raise DailyAddressQuota(count=today.count + count, limit=DAILY_QUOTA)
    tx.put(replace(today, count=today.count + count))


def check_idle(found: Address, busy: type[AddressBusy] = AddressBusy) -> None:
    """Raises the refusal for an EIP with a task under way."""
    if found.status in {"CREATING", "BINDING", "UNBINDING", "OFFLINING"}:
        raise busy(address_id=found.id, status=found.status)


@step("address.settled")
def _settled(tx: Transaction, address_id: str) -> None:
    found = tx.find(Address, address_id)
    if found is None:
        return
    match found.status:
        case "CREATING":
            tx.put(replace(found, status="UNBIND"))
        case "BINDING":
            tx.put(replace(found, status="BIND_ENI" if found.target_id.startswith("eni-") else "BIND"))
        case "UNBINDING":
            tx.put(replace(found, status="UNBIND", target_id="", interface_id="", private_address=None))
        case "OFFLINING":
            tag.detach_all(tx, address_id)
            tx.delete(found)
        case _:
            pass


def release(tx: Transaction, address_ids: tuple[str, ...]) -> str:
    """Begin to give EIPs back. Gives the task's id."""
    for address_id in address_ids:
        found = get(tx, address_id)
        check_idle(found)
        if found.status != "UNBIND":
            raise AddressStillBound(address_id=address_id, status=found.status)
        tx.put(replace(found, status="OFFLINING"))
        after(tx, tx.timing.address_s, "address.settled", address_id)
    return task.begin(tx, tx.timing.address_s)


def rename(tx: Transaction, address_id: str, name: str) -> None:
    """ModifyAddressAttribute."""
    found = get(tx, address_id)
    _check_name(name)
    tx.put(replace(found, name=name))


@public_pool.holds
def _public_addresses(tx: Transaction) -> list[IPv4Address]:
    return [one.ip for one in tx.everywhere(Address)]


@references.uses(havip.HaVip)
def _on_havip(tx: Transaction, havip_id: str) -> list[str]:
    return [one.id for one in of_target(tx, havip_id)]


@references.uses(interface.Interface)
def _on_interface(tx: Transaction, interface_id: str) -> list[str]:
    return [one.id for one in tx.all(Address) if one.interface_id == interface_id]


@references.on_release(instance.Instance)
def _instance_gone(tx: Transaction, gone: Record) -> None:
    for found in of_target(tx, gone.id):
        tx.put(replace(found, status="UNBIND", target_id="", interface_id="", private_address=None))
