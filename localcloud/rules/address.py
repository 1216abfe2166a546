"""Elastic public addresses (EIP): the record and its lifecycle. See also address_charge.py and address_binding.py."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import ClassVar

from localcloud.rules import havip, instance, public_pool, references, tag, task
from localcloud.rules.jobs import after, step
from localcloud.rules.records import Record, beijing_time
from localcloud.rules.refusal import Refusal, documented, rule
from localcloud.rules.transaction import Transaction

QUOTA = 20
DAILY_QUOTA = 2 * QUOTA
DEFAULT_NAME = "未命名"
NAME_LIMIT = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Address(Record):
    """An EIP. `target_id` is the instance, HAVIP or NAT gateway to which it is bound."""

    affects_network_plan: ClassVar[bool] = True

    name: str = ""
    ip: IPv4Address = public_pool.UNASSIGNED
    status: str = "CREATING"  # CREATING, BINDING, BIND, UNBINDING, UNBIND, OFFLINING
    type: str = "EIP"
    charge_type: str  # "" with a traditional account
    bandwidth_mbps: int  # 0 with a traditional account
    isp: str = "BGP"
    target_id: str = ""
    interface_id: str = ""
    private_address: IPv4Address | None = None
    charge_type_changes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationDay(Record):
    """The number of EIPs allocated in a region on one day, Beijing time. The ID is `region/date`."""

    count: int


_RELEASE_ADDRESSES = documented("ReleaseAddresses and other actions on EIPs", page="215/16705")
_MODIFY_ADDRESS_ATTRIBUTE = documented("ModifyAddressAttribute: AddressName", page="215/16704")
AddressNotFound = rule("InvalidAddressId.NotFound", "AddressId must identify an existing EIP.", _RELEASE_ADDRESSES)
AddressIdMalformed = rule(
    "InvalidParameterValue.AddressIdMalformed",
    "An EIP ID must be `eip-` followed by 8 letters or digits.",
    documented("ReleaseAddresses: IDs such as eip-11112222", page="215/16705"),
)
AddressQuota = rule(
    "AddressQuotaLimitExceeded",
    "A region can have at most 20 EIPs.",
    documented("EIP limits: 20 in a region; code: AllocateAddresses", page="1199/41648"),
)
DailyAddressQuota = rule(
    "AddressQuotaLimitExceeded.DailyAllocate",
    "At most 40 EIPs can be allocated in a region each day, including EIPs that are already released.",
    documented("EIP limits: twice the quota each day; code: AllocateAddresses", page="1199/41648"),
)
NameMalformed = rule(
    "InvalidParameterValue",
    "An EIP name must consist of letters, Chinese characters, digits, hyphens and underscores.",
    _MODIFY_ADDRESS_ATTRIBUTE,
)
NameTooLong = rule(
    "InvalidParameterValue.TooLong", "An EIP name must not exceed 128 characters.", _MODIFY_ADDRESS_ATTRIBUTE
)
AddressBusy = rule(
    "OperationDenied.MutexTaskRunning", "An EIP cannot be changed while a task is running on it.", _RELEASE_ADDRESSES
)
AddressStillBound = rule(
    "InvalidAddressState",
    "An EIP must be unbound before it is released.",
    documented("ReleaseAddresses: only in status UNBIND", page="215/16705"),
)
PublicAddressNotFound = rule(
    "ResourceNotFound",
    "AddressIp must be the public address of an existing EIP in the region.",
    documented("HaVipAssociateAddressIp: AddressIp", page="215/30649"),
)


def get(tx: Transaction, address_id: str) -> Address:
    """Return the EIP. Raises: AddressIdMalformed or AddressNotFound."""
    if not re.fullmatch(r"eip-[0-9a-z]{8}", address_id):
        raise AddressIdMalformed(got=address_id)
    return tx.get(Address, address_id, AddressNotFound)


def find_by_ip(tx: Transaction, ip: str) -> Address | None:
    return next((found for found in tx.all(Address) if str(found.ip) == ip), None)


def by_ip(tx: Transaction, ip: str) -> Address:
    """Return the EIP with that public address. Raises: PublicAddressNotFound."""
    found = find_by_ip(tx, ip)
    if found is None:
        raise PublicAddressNotFound(got=ip)
    return found


def of_target(tx: Transaction, target_id: str) -> list[Address]:
    return [address for address in tx.all(Address) if address.target_id == target_id]


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
        raise NameMalformed(got=name)


def allocate(tx: Transaction, count: int, requested: Address, tags: tag.Tags) -> tuple[list[Address], str]:
    """Create EIPs in status CREATING. Returns them and the ID of the task that completes the allocation."""
    _check_name(requested.name)
    _count_allocation(tx, count)
    made: list[Address] = []
    for _ in range(count):
        named = replace(requested, name=requested.name or DEFAULT_NAME, ip=public_pool.free_address(tx))
        made.append(tag.create(tx, "eip", named, tags))
        after(tx, tx.timing.address_s, "address.settled", made[-1].id)
    return made, task.begin(tx, tx.timing.address_s)


def _count_allocation(tx: Transaction, count: int) -> None:
    total = len(tx.all(Address)) + count
    if total > QUOTA:
        raise AddressQuota(got=total)
    today = allocated_today(tx)
    if today.count + count > DAILY_QUOTA:
        raise DailyAddressQuota(got=today.count + count)
    tx.put(replace(today, count=today.count + count))


def check_idle(found: Address, busy: type[Refusal] = AddressBusy) -> None:
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
            tag.delete(tx, found)
        case _:
            pass


def release(tx: Transaction, address_ids: tuple[str, ...]) -> str:
    """Start the release of EIPs. Returns the task ID."""
    for address_id in address_ids:
        found = get(tx, address_id)
        check_idle(found)
        if found.status != "UNBIND":
            raise AddressStillBound(got=found.status, address_id=address_id)
        tx.put(replace(found, status="OFFLINING"))
        after(tx, tx.timing.address_s, "address.settled", address_id)
    return task.begin(tx, tx.timing.address_s)


def change(tx: Transaction, changed: Address) -> None:
    _check_name(changed.name)
    tx.put(changed)


@public_pool.holds
def _public_addresses(tx: Transaction) -> list[IPv4Address]:
    return [address.ip for address in tx.everywhere(Address)]


@references.uses(havip.HaVip)
def _on_havip(tx: Transaction, havip_id: str) -> list[str]:
    return [address.id for address in of_target(tx, havip_id)]


@references.on_release(instance.Instance)
def _instance_deleted(tx: Transaction, deleted: Record) -> None:
    for found in of_target(tx, deleted.id):
        tx.put(replace(found, status="UNBIND", target_id="", interface_id="", private_address=None))
