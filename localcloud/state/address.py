"""Elastic public addresses (EIP). Binding and unbinding take time; each is a task."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import ClassVar

from localcloud.state import havip, instance, interface, public_pool, references, tag, task
from localcloud.state.errors import InvalidParameterValue, Refusal, documented, provider
from localcloud.state.jobs import after, step
from localcloud.state.records import Record
from localcloud.state.store import Transaction

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
    cascade_release: bool = False


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


def _check_bindable(found: Address) -> None:
    check_idle(found)
    if found.status != "UNBIND":
        raise AddressAlreadyBound(address_id=found.id, status=found.status)


def _bind(tx: Transaction, found: Address, target_id: str, interface_id: str, private: IPv4Address | None) -> str:
    tx.put(replace(found, status="BINDING", target_id=target_id, interface_id=interface_id, private_address=private))
    after(tx, tx.timing.address_s, "address.settled", found.id)
    return task.begin(tx, tx.timing.address_s)


def bind_to_instance(tx: Transaction, address_id: str, instance_id: str) -> str:
    """AssociateAddress to an instance: to its primary private address. Gives the task's id."""
    found = get(tx, address_id)
    _check_bindable(found)
    target = instance.get(tx, instance_id)
    if target.public_address is not None:
        raise InstanceHasPublicAddress(instance_id=instance_id, ip=target.public_address)
    if target.state not in {"RUNNING", "STOPPED"}:
        raise InstanceStateForbidsBinding(instance_id=instance_id, state=target.state)
    for other in of_target(tx, instance_id):
        raise InstanceHasAddress(instance_id=instance_id, address_id=other.id)
    card = interface.get(tx, target.interface_id)
    return _bind(tx, found, instance_id, card.id, card.address)


def bind_to_interface(tx: Transaction, address_id: str, interface_id: str, private: IPv4Address) -> str:
    """AssociateAddress to one private address of an interface. Gives the task's id."""
    found = get(tx, address_id)
    _check_bindable(found)
    card = interface.get(tx, interface_id)
    if all(entry.address != private for entry in card.addresses):
        raise interface.AddressNotOnInterface(address=private, interface_id=interface_id)
    for other in tx.all(Address):
        if other.interface_id == interface_id and other.private_address == private:
            raise PrivateAddressHasAddress(private=private, target_id=interface_id, address_id=other.id)
    return _bind(tx, found, card.instance_id or interface_id, interface_id, private)


def bind_to_havip(tx: Transaction, found: Address, havip_id: str) -> str:
    """HaVipAssociateAddressIp, or AssociateAddress to a HAVIP. Gives the task's id."""
    target = havip.get(tx, havip_id)
    for other in of_target(tx, havip_id):
        raise HaVipHasAddress(havip_id=havip_id, address_id=other.id)
    _check_bindable(found)
    return _bind(tx, found, havip_id, "", target.address)


def bind_to_gateway(tx: Transaction, found: Address, gateway_id: str) -> None:
    """A NAT gateway takes an EIP at once: its own task is the gateway's."""
    _check_bindable(found)
    tx.put(replace(found, status="BIND", target_id=gateway_id))


def unbind_from_gateway(tx: Transaction, found: Address) -> None:
    """A NAT gateway lets an EIP go at once."""
    tx.put(replace(found, status="UNBIND", target_id=""))


def unbind(tx: Transaction, found: Address) -> str:
    """Begin to unbind. Gives the task's id."""
    check_idle(found)
    if found.status not in {"BIND", "BIND_ENI"}:
        raise AddressNotBound(address_id=found.id, status=found.status)
    if found.target_id.startswith("nat-"):
        raise GatewayKeepsAddress(address_id=found.id, gateway_id=found.target_id)
    tx.put(replace(found, status="UNBINDING"))
    after(tx, tx.timing.address_s, "address.settled", found.id)
    return task.begin(tx, tx.timing.address_s)


def unbind_havip(tx: Transaction, havip_id: str) -> None:
    """HaVipDisassociateAddressIp."""
    havip.get(tx, havip_id)
    bound = of_target(tx, havip_id)
    if not bound:
        raise HaVipHasNoAddress(havip_id=havip_id)
    unbind(tx, bound[0])


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
