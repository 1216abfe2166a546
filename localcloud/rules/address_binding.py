"""Binding EIPs to instances, interfaces, HAVIPs and NAT gateways, and unbinding them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from localcloud.rules import address, havip, instance, interface, task
from localcloud.rules.address import Address
from localcloud.rules.jobs import after
from localcloud.rules.refusal import Refusal, documented
from localcloud.rules.transaction import Transaction


class AddressAlreadyBound(Refusal):
    """Only an EIP in status UNBIND is bound."""

    code = "UnsupportedOperation.AddressStatusNotPermit"
    template = "The address `{address_id}` in status {status} can't be bound: it must be UNBIND."
    source = documented(
        "AssociateAddress: only in status UNBIND; UnsupportedOperation.AddressStatusNotPermit", page="215/16700"
    )


class AddressBoundBeforeHaVip(AddressAlreadyBound):
    """An EIP that is bound to something is not bound to a HAVIP."""

    code = "UnsupportedOperation.BindEIP"
    source = documented("HaVipAssociateAddressIp: an unbound EIP; UnsupportedOperation.BindEIP", page="215/30649")


class AddressBoundBeforeGateway(AddressAlreadyBound):
    """An EIP that is bound to something is not bound to a NAT gateway."""

    code = "ResourceInUse.Address"
    source = documented("AssociateNatGatewayAddress, 215/36721: ResourceInUse.Address", page="215/36722")


class AddressBusyForVpc(address.AddressBusy):
    """An EIP with a task under way is neither bound to a HAVIP or NAT gateway nor unbound from a HAVIP."""

    code = "UnsupportedOperation.MutexOperationTaskRunning"
    source = documented(
        "HaVipAssociateAddressIp, 215/30648, 215/36722: UnsupportedOperation.MutexOperationTaskRunning",
        page="215/30649",
    )


class AddressNotBound(Refusal):
    """Only a bound EIP is unbound."""

    code = "InvalidAddressIdStatus.NotPermit"
    template = "The address `{address_id}` in status {status} is not bound."
    source = documented(
        "DisassociateAddress: only in status BIND or BIND_ENI; InvalidAddressIdStatus.NotPermit", page="215/16703"
    )


class UnboundByAnotherAction(Refusal):
    """An EIP on a NAT gateway or a HAVIP is unbound by that product's own action."""

    code = "InvalidInstance.NotSupported"
    template = "The address `{address_id}` is bound to `{target_id}`: use {action}."
    source = documented(
        "DisassociateAddress: EIPs on instances and interfaces, not on NAT gateways; InvalidInstance.NotSupported",
        page="215/16703",
    )


class InstanceHasAddress(Refusal):
    """An instance's primary address has one EIP."""

    code = "InvalidInstanceId.AlreadyBindEip"
    template = "The instance `{instance_id}` already has the address `{address_id}`."
    source = documented("AssociateAddress: InvalidInstanceId.AlreadyBindEip", page="215/16700")


class InstanceHasPublicAddress(Refusal):
    """An instance with a public address from its creation takes no EIP."""

    code = "InvalidParameterValue.InstanceHasWanIP"
    template = "The instance `{instance_id}` has the public address {ip}."
    source = documented("AssociateAddress: the ordinary public IP must be returned first", page="215/16700")


class InstanceAddressQuota(Refusal):
    """An instance has 2 public addresses, one more from 6 cores on and for each further 6."""

    code = "LimitExceeded.InstanceAddressQuota"
    template = "The instance `{instance_id}` with {cpu} cores can't have more than {limit} public addresses."
    source = documented(
        "EIP limits: public addresses by cores; AssociateAddress: LimitExceeded.InstanceAddressQuota",
        page="1199/41648",
    )


class PrivateAddressHasAddress(Refusal):
    """A private address has one EIP."""

    code = "InvalidPrivateIpAddress.AlreadyBindEip"
    template = "The private address `{private}` of `{target_id}` already has the address `{address_id}`."
    source = documented("AssociateAddress: InvalidPrivateIpAddress.AlreadyBindEip", page="215/16700")


class PrivateAddressNotFound(Refusal):
    """The interface that an EIP is bound to exists and has the private address."""

    code = "InvalidNetworkInterfaceId.NotFound"
    template = "There is no network interface `{interface_id}` with the address `{address}`."
    source = documented(
        "AssociateAddress: PrivateIpAddress on NetworkInterfaceId; InvalidNetworkInterfaceId.NotFound",
        page="215/16700",
    )


class HaVipHasAddress(Refusal):
    """A HAVIP has one EIP."""

    code = "UnsupportedOperation.BindEIP"
    template = "The HAVIP `{havip_id}` already has the address `{address_id}`."
    source = documented("HaVipAssociateAddressIp: a HAVIP without EIP; UnsupportedOperation.BindEIP", page="215/30649")


class HaVipHasNoAddress(Refusal):
    """An EIP is unbound from a HAVIP that has one."""

    code = "UnsupportedOperation.UnbindEIP"
    template = "The HAVIP `{havip_id}` has no address."
    source = documented("HaVipDisassociateAddressIp: UnsupportedOperation.UnbindEIP", page="215/30648")


class InstanceStateForbidsBinding(Refusal):
    """An EIP is bound to an instance that is running or stopped."""

    code = "InvalidParameterValue.InvalidInstanceState"
    template = "The instance `{instance_id}` in state {state} can't be bound."
    source = documented("AssociateAddress: InvalidParameterValue.InvalidInstanceState", page="215/16700")


class TargetUnsupported(Refusal):
    """AssociateAddress binds an EIP to an instance or to an interface's private address."""

    code = "InvalidParameterValue.ResourceNotSupport"
    template = "`{target_id}` can't be bound here: an instance, or an interface with a private address."
    source = documented(
        "AssociateAddress: an instance or an interface; HAVIPs have HaVipAssociateAddressIp, NAT gateways theirs; "
        "InvalidParameterValue.ResourceNotSupport",
        page="215/16700",
    )


class TargetMissing(Refusal):
    """A request to bind an EIP names an instance or an interface."""

    code = "InvalidParameterValue.MissingAssociateEntity"
    template = "Give InstanceId, or NetworkInterfaceId and PrivateIpAddress."
    source = documented("AssociateAddress: InvalidParameterValue.MissingAssociateEntity", page="215/16700")


def _check_bindable(
    found: Address,
    busy: type[address.AddressBusy] = address.AddressBusy,
    bound: type[AddressAlreadyBound] = AddressAlreadyBound,
) -> None:
    address.check_idle(found, busy)
    if found.status != "UNBIND":
        raise bound(address_id=found.id, status=found.status)


def _bind(tx: Transaction, found: Address, target_id: str, interface_id: str, private: IPv4Address | None) -> str:
    tx.put(replace(found, status="BINDING", target_id=target_id, interface_id=interface_id, private_address=private))
    after(tx, tx.timing.address_s, "address.settled", found.id)
    return task.begin(tx, tx.timing.address_s)


def _check_instance_quota(tx: Transaction, target: instance.Instance) -> None:
    cpu = target.type.cpu
    # The page's table: 1-5 cores 2, 6-11 3, 12-17 4 and so on, 10 at most.
    limit = min(2 + cpu // 6, 10)
    if len(address.of_target(tx, target.id)) + (target.public_address is not None) >= limit:
        raise InstanceAddressQuota(instance_id=target.id, cpu=cpu, limit=limit)


def bind_to_instance(tx: Transaction, address_id: str, instance_id: str) -> str:
    """AssociateAddress to an instance: to its primary private address. Gives the task's id."""
    found = address.get(tx, address_id)
    _check_bindable(found)
    target = instance.get(tx, instance_id)
    if target.public_address is not None:
        raise InstanceHasPublicAddress(instance_id=instance_id, ip=target.public_address)
    if target.state not in {"RUNNING", "STOPPED"}:
        raise InstanceStateForbidsBinding(instance_id=instance_id, state=target.state)
    card = interface.get(tx, target.interface_id)
    for other in address.of_target(tx, instance_id):
        if other.interface_id == card.id and other.private_address == card.address:
            raise InstanceHasAddress(instance_id=instance_id, address_id=other.id)
    _check_instance_quota(tx, target)
    return _bind(tx, found, instance_id, card.id, card.address)


def bind_to_interface(tx: Transaction, address_id: str, interface_id: str, private: IPv4Address) -> str:
    """AssociateAddress to one private address of an interface. Gives the task's id."""
    found = address.get(tx, address_id)
    _check_bindable(found)
    card = tx.find(interface.Interface, interface_id)
    if card is None or all(entry.address != private for entry in card.addresses):
        raise PrivateAddressNotFound(address=private, interface_id=interface_id)
    for other in tx.all(Address):
        if other.interface_id == interface_id and other.private_address == private:
            raise PrivateAddressHasAddress(private=private, target_id=interface_id, address_id=other.id)
    if card.instance_id:
        _check_instance_quota(tx, instance.get(tx, card.instance_id))
    return _bind(tx, found, card.instance_id or interface_id, interface_id, private)


def bind_to_havip(tx: Transaction, found: Address, havip_id: str) -> str:
    """HaVipAssociateAddressIp. Gives the task's id."""
    target = havip.get(tx, havip_id)
    for other in address.of_target(tx, havip_id):
        raise HaVipHasAddress(havip_id=havip_id, address_id=other.id)
    _check_bindable(found, AddressBusyForVpc, AddressBoundBeforeHaVip)
    return _bind(tx, found, havip_id, "", target.address)


def bind_to_gateway(tx: Transaction, found: Address, gateway_id: str) -> None:
    """A NAT gateway takes an EIP at once: its own task is the gateway's."""
    _check_bindable(found, AddressBusyForVpc, AddressBoundBeforeGateway)
    tx.put(replace(found, status="BIND", target_id=gateway_id))


def unbind_from_gateway(tx: Transaction, found: Address) -> None:
    """A NAT gateway lets an EIP go at once."""
    tx.put(replace(found, status="UNBIND", target_id=""))


def unbind(tx: Transaction, found: Address) -> str:
    """DisassociateAddress. Gives the task's id."""
    address.check_idle(found)
    if found.status not in {"BIND", "BIND_ENI"}:
        raise AddressNotBound(address_id=found.id, status=found.status)
    own_action = {"nat": "DisassociateNatGatewayAddress", "havip": "HaVipDisassociateAddressIp"}
    action = own_action.get(found.target_id.partition("-")[0])
    if action is not None:
        raise UnboundByAnotherAction(address_id=found.id, target_id=found.target_id, action=action)
    return _begin_to_unbind(tx, found)


def _begin_to_unbind(tx: Transaction, found: Address) -> str:
    tx.put(replace(found, status="UNBINDING"))
    after(tx, tx.timing.address_s, "address.settled", found.id)
    return task.begin(tx, tx.timing.address_s)


def unbind_havip(tx: Transaction, havip_id: str) -> None:
    """HaVipDisassociateAddressIp."""
    havip.get(tx, havip_id)
    bound = address.of_target(tx, havip_id)
    if not bound:
        raise HaVipHasNoAddress(havip_id=havip_id)
    address.check_idle(bound[0], AddressBusyForVpc)
    _begin_to_unbind(tx, bound[0])


def unbind_private(tx: Transaction, interface_id: str, gone: tuple[IPv4Address, ...]) -> None:
    """UnassignPrivateIpAddresses: the EIPs of private addresses that an interface gives up become free."""
    for one in tx.all(Address):
        if one.interface_id == interface_id and one.private_address in gone:
            _begin_to_unbind(tx, one)
