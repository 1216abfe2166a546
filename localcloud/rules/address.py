"""Elastic public addresses (EIP): the record, and its life but for the binding (address_binding.py)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import ClassVar

from localcloud.rules import havip, instance, interface, public_pool, references, tag, task
from localcloud.rules.jobs import after, step
from localcloud.rules.records import Record
from localcloud.rules.refusal import InvalidParameterValue, Refusal, documented, provider
from localcloud.rules.transaction import Transaction

QUOTA = 20
NAME_LIMIT = 128
CHARGE_TYPES = {
    "TRAFFIC_POSTPAID_BY_HOUR": 100,
    "BANDWIDTH_POSTPAID_BY_HOUR": 100,
    "BANDWIDTH_PREPAID_BY_MONTH": 200,
    "BANDWIDTH_PACKAGE": 2000,
}
_ERRORS = documented("the SDK's errorcodes.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address(Record):
    """A public address. `target_id` is the instance, interface, HAVIP or NAT gateway that it is bound to."""

    shapes_network: ClassVar[bool] = True

    name: str
    ip: IPv4Address
    status: str  # CREATING, BINDING, BIND, BIND_ENI, UNBINDING, UNBIND, OFFLINING
    type: str
    charge_type: str
    bandwidth_mbps: int
    isp: str = "BGP"
    egress: str = "center_egress1"
    target_id: str = ""
    interface_id: str = ""
    private_address: IPv4Address | None = None


class AddressNotFound(Refusal):
    """An EIP that a request names must exist."""

    code = "InvalidAddressId.NotFound"
    template = "The address `{address_id}` does not exist."
    source = _ERRORS


class AddressIdMalformed(Refusal):
    """An EIP's id is `eip-` and 8 letters or digits."""

    code = "InvalidParameterValue.AddressIdMalformed"
    template = "The address id `{address_id}` is malformed."
    source = _ERRORS


class AddressQuota(Refusal):
    """A region holds at most 20 EIPs."""

    code = "AddressQuotaLimitExceeded"
    template = "The number of addresses would be {count}; the limit is {limit}."
    source = _ERRORS


class BandwidthOutOfRange(Refusal):
    """An EIP's bandwidth is at least 1 Mbit/s (0 for a package) and at most what its charge type allows."""

    code = "InvalidParameterValue.BandwidthOutOfRange"
    template = "The bandwidth {bandwidth} Mbps is not in [{low}, {high}]."
    source = documented("the page of AllocateAddresses: InternetMaxBandwidthOut; errorcodes.py")


class AddressAlreadyBound(Refusal):
    """Only an EIP in status UNBIND is bound."""

    code = "InvalidAddressIdStatus.NotPermit"
    template = "The address `{address_id}` in status {status} can't be bound: it must be UNBIND."
    source = _ERRORS


class AddressBusy(Refusal):
    """An EIP with a task under way takes no other change."""

    code = "OperationDenied.MutexTaskRunning"
    template = "A task is running on address `{address_id}`: status {status}."
    source = provider("ReleaseAddresses retries this code (provider-api.md, eip.Instance); errorcodes.py")


class AddressStillBound(Refusal):
    """A bound EIP is not released."""

    code = "InvalidAddressState"
    template = "The address `{address_id}` in status {status} can't be released: unbind it first."
    source = _ERRORS


class AddressNotBound(Refusal):
    """Only a bound EIP is unbound."""

    code = "InvalidAddressIdStatus.NotPermit"
    template = "The address `{address_id}` in status {status} is not bound."
    source = documented("the page of DisassociateAddress: InvalidAddressIdStatus.NotPermit")


class GatewayKeepsAddress(Refusal):
    """A NAT gateway's EIP is taken from it by DisassociateNatGatewayAddress alone."""

    code = "UnsupportedOperation.IncorrectAddressResourceType"
    template = "The address `{address_id}` is bound to NAT gateway `{gateway_id}`: use DisassociateNatGatewayAddress."
    source = documented("the page of DisassociateAddress; code in errorcodes.py")


class InstanceHasAddress(Refusal):
    """An instance's primary address has one EIP."""

    code = "InvalidInstanceId.AlreadyBindEip"
    template = "The instance `{instance_id}` already has the address `{address_id}`."
    source = _ERRORS


class InstanceHasPublicAddress(Refusal):
    """An instance with a public address from its birth takes no EIP."""

    code = "InvalidParameterValue.InstanceHasWanIP"
    template = "The instance `{instance_id}` has the public address {ip}."
    source = _ERRORS


class PrivateAddressHasAddress(Refusal):
    """A private address has one EIP."""

    code = "InvalidPrivateIpAddress.AlreadyBindEip"
    template = "The private address `{private}` of `{target_id}` already has the address `{address_id}`."
    source = _ERRORS


class HaVipHasAddress(Refusal):
    """A HAVIP has one EIP."""

    code = "UnsupportedOperation.BindEIP"
    template = "The HAVIP `{havip_id}` already has the address `{address_id}`."
    source = documented("the SDK's errorcodes.py: UnsupportedOperation.BindEIP")


class HaVipHasNoAddress(Refusal):
    """An EIP is taken from a HAVIP that has one."""

    code = "UnsupportedOperation.UnbindEIP"
    template = "The HAVIP `{havip_id}` has no address."
    source = documented("the SDK's errorcodes.py: UnsupportedOperation.UnbindEIP")


class PublicAddressNotFound(Refusal):
    """The public address that a request names is one of the region's EIPs."""

    code = "InvalidParameterValue.AddressIpNotFound"
    template = "The address `{ip}` does not exist."
    source = _ERRORS


class ChargeTypeNotChanged(Refusal):
    """A charge type is changed to another one."""

    code = "InvalidParameterValue.InternetChargeTypeNotChanged"
    template = "The address `{address_id}` is already charged by {charge_type}."
    source = _ERRORS


class InstanceStateForbidsBinding(Refusal):
    """An EIP is bound to an instance that is running or stopped."""

    code = "InvalidParameterValue.InvalidInstanceState"
    template = "The instance `{instance_id}` in state {state} can't be bound."
    source = _ERRORS


class TargetUnsupported(Refusal):
    """An EIP is bound to an instance, a HAVIP, or an interface's private address."""

    code = "InvalidInstance.NotSupported"
    template = "`{target_id}` can't have an address."
    source = _ERRORS


def get(tx: Transaction, address_id: str) -> Address:
    """The EIP. Raises AddressIdMalformed or AddressNotFound."""
    if not re.fullmatch(r"eip-[0-9a-z]{8}", address_id):
        raise AddressIdMalformed(address_id=address_id)
    found = tx.find(Address, address_id)
    if found is None:
        raise AddressNotFound(address_id=address_id)
    return found


def by_ip(tx: Transaction, ip: str) -> Address:
    """The EIP with that public address. Raises PublicAddressNotFound."""
    for found in tx.all(Address):
        if str(found.ip) == ip:
            return found
    raise PublicAddressNotFound(ip=ip)


def of_target(tx: Transaction, target_id: str) -> list[Address]:
    """The EIPs that are bound (or being bound) to a resource."""
    return [one for one in tx.all(Address) if one.target_id == target_id]


def _check_bandwidth(charge_type: str, bandwidth_mbps: int) -> None:
    high = CHARGE_TYPES[charge_type]
    if not 1 <= bandwidth_mbps <= high:
        raise BandwidthOutOfRange(bandwidth=bandwidth_mbps, low=1, high=high)


def _check_charge_type(charge_type: str) -> None:
    if charge_type not in CHARGE_TYPES:
        raise InvalidParameterValue(name="InternetChargeType", value=charge_type, wanted=" or ".join(CHARGE_TYPES))


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
    _check_charge_type(charge_type)
    _check_bandwidth(charge_type, bandwidth_mbps)
    total = len(tx.all(Address)) + count
    if total > QUOTA:
        raise AddressQuota(count=total, limit=QUOTA)
    made: list[Address] = []
    for _ in range(count):
        one = tx.put(
            Address(
                id=tx.new_id("eip"),
                region=tx.region,
                created=tx.now,
                name=name,
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


def check_idle(found: Address) -> None:
    """Raises AddressBusy."""
    if found.status in {"CREATING", "BINDING", "UNBINDING", "OFFLINING"}:
        raise AddressBusy(address_id=found.id, status=found.status)


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
    if len(name) > NAME_LIMIT:
        raise InvalidParameterValue(name="AddressName", value=name, wanted=f"at most {NAME_LIMIT} characters")
    tx.put(replace(found, name=name))


def change_bandwidth(tx: Transaction, address_ids: tuple[str, ...], bandwidth_mbps: int) -> str:
    """ModifyAddressesBandwidth. Gives the task's id."""
    for address_id in address_ids:
        found = get(tx, address_id)
        check_idle(found)
        _check_bandwidth(found.charge_type, bandwidth_mbps)
        tx.put(replace(found, bandwidth_mbps=bandwidth_mbps))
    return task.begin(tx, tx.timing.address_s)


def change_charge_type(tx: Transaction, address_id: str, charge_type: str, bandwidth_mbps: int) -> None:
    """ModifyAddressInternetChargeType."""
    found = get(tx, address_id)
    check_idle(found)
    _check_charge_type(charge_type)
    if found.charge_type == charge_type:
        raise ChargeTypeNotChanged(address_id=address_id, charge_type=charge_type)
    _check_bandwidth(charge_type, bandwidth_mbps)
    tx.put(replace(found, charge_type=charge_type, bandwidth_mbps=bandwidth_mbps))


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
