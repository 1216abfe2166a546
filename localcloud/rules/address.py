"""Elastic public addresses (EIP): the record and its lifecycle. See also address_charge.py and address_binding.py."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import ClassVar

from localcloud.rules import havip, instance, public_pool, references, tag, task
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
    """An EIP. `target_id` is the instance, HAVIP or NAT gateway to which it is bound."""

    affects_network_plan: ClassVar[bool] = True

    name: str
    ip: IPv4Address
    status: str  # CREATING, BINDING, BIND, UNBINDING, UNBIND, OFFLINING
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
    """The number of EIPs allocated in a region on one day, Beijing time. The ID is `region/date`."""

    count: int


class AddressNotFound(Refusal):
    """AddressId must identify an existing EIP."""

    code = "InvalidAddressId.NotFound"
    template = "AddressId must identify an existing address (got `{address_id}`)."
    source = documented("ReleaseAddresses and other actions on EIPs: InvalidAddressId.NotFound", page="215/16705")


class AddressIdMalformed(Refusal):
    """An EIP ID must be `eip-` followed by 8 letters or digits."""

    code = "InvalidParameterValue.AddressIdMalformed"
    template = "AddressId must be `eip-` followed by 8 letters or digits (got `{address_id}`)."
    source = documented("ReleaseAddresses: IDs such as eip-11112222; .AddressIdMalformed", page="215/16705")


class AddressQuota(Refusal):
    """A region can have at most 20 EIPs."""

    code = "AddressQuotaLimitExceeded"
    template = "A region cannot have more than {limit} addresses (got {count})."
    source = documented("EIP limits: 20 in a region; AllocateAddresses: AddressQuotaLimitExceeded", page="1199/41648")


class DailyAddressQuota(Refusal):
    """At most 40 EIPs can be allocated in a region each day, including EIPs that are already released."""

    code = "AddressQuotaLimitExceeded.DailyAllocate"
    template = "A region cannot allocate more than {limit} addresses each day (got {count})."
    source = documented(
        "EIP limits: twice the quota each day; AllocateAddresses: AddressQuotaLimitExceeded.DailyAllocate",
        page="1199/41648",
    )


class NameMalformed(Refusal):
    """An EIP name must consist of letters, Chinese characters, digits, hyphens and underscores."""

    code = "InvalidParameterValue"
    template = "AddressName must consist of letters, Chinese characters, digits, `-` and `_` (got `{name}`)."
    source = documented("ModifyAddressAttribute: AddressName; InvalidParameterValue", page="215/16704")


class NameTooLong(Refusal):
    """An EIP name must not exceed 128 characters."""

    code = "InvalidParameterValue.TooLong"
    template = "The parameter `AddressName` must not be longer than 128 characters."
    source = documented("ModifyAddressAttribute: AddressName; InvalidParameterValue.TooLong", page="215/16704")


class AddressBusy(Refusal):
    """An EIP cannot be changed while a task is running on it."""

    code = "OperationDenied.MutexTaskRunning"
    template = "The address `{address_id}` cannot be changed while a task is running on it (status {status})."
    source = documented(
        "ReleaseAddresses and other actions on EIPs: OperationDenied.MutexTaskRunning",
        page="215/16705",
    )


class AddressStillBound(Refusal):
    """An EIP must be unbound before it is released."""

    code = "InvalidAddressState"
    template = "The address `{address_id}` must be in status UNBIND before it is released (got {status})."
    source = documented("ReleaseAddresses: only in status UNBIND; InvalidAddressState", page="215/16705")


class PublicAddressNotFound(Refusal):
    """AddressIp must be the public address of an existing EIP in the region."""

    code = "ResourceNotFound"
    template = "AddressIp must be the public address of an existing EIP (got `{ip}`)."
    source = documented("HaVipAssociateAddressIp: AddressIp; ResourceNotFound", page="215/30649")


def get(tx: Transaction, address_id: str) -> Address:
    """Return the EIP. Raises: AddressIdMalformed or AddressNotFound."""
    if not re.fullmatch(r"eip-[0-9a-z]{8}", address_id):
        raise AddressIdMalformed(address_id=address_id)
    found = tx.find(Address, address_id)
    if found is None:
        raise AddressNotFound(address_id=address_id)
    return found


def find_by_ip(tx: Transaction, ip: str) -> Address | None:
    """Return the EIP with that public address, or None."""
    return next((found for found in tx.all(Address) if str(found.ip) == ip), None)


def by_ip(tx: Transaction, ip: str) -> Address:
    """Return the EIP with that public address. Raises: PublicAddressNotFound."""
    found = find_by_ip(tx, ip)
    if found is None:
        raise PublicAddressNotFound(ip=ip)
    return found


def of_target(tx: Transaction, target_id: str) -> list[Address]:
    """Return the EIPs that are bound, or being bound, to a resource."""
    return [one for one in tx.all(Address) if one.target_id == target_id]


def allocated_today(tx: Transaction) -> AllocationDay:
    """Return the number of EIPs allocated today in this region."""
    day_id = f"{tx.region}/{beijing_time(tx.now)[:10]}"
    found = tx.find(AllocationDay, day_id)
    return found or AllocationDay(id=day_id, region=tx.region, created=tx.now, count=0)


def _check_name(name: str) -> None:
    if len(name) > NAME_LIMIT:
        raise NameTooLong
    # Not \w, which matches scripts that the page does not list.
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
    """Create EIPs in status CREATING. Returns them and the ID of the task that completes the allocation."""
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
    """Raises: `busy` if a task is running on the EIP."""
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
            tx.put(replace(found, status="BIND"))
        case "UNBINDING":
            tx.put(replace(found, status="UNBIND", target_id="", interface_id="", private_address=None))
        case "OFFLINING":
            tag.detach_all(tx, address_id)
            tx.delete(found)
        case _:
            pass


def release(tx: Transaction, address_ids: tuple[str, ...]) -> str:
    """Start the release of EIPs. Returns the task ID."""
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


@references.on_release(instance.Instance)
def _instance_deleted(tx: Transaction, deleted: Record) -> None:
    for found in of_target(tx, deleted.id):
        tx.put(replace(found, status="UNBIND", target_id="", interface_id="", private_address=None))
