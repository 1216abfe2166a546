"""Rules for binding and unbinding EIPs to instances, interfaces, HAVIPs and NAT gateways."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from localcloud.rules import address, havip, instance, interface, task
from localcloud.rules.address import Address
from localcloud.rules.jobs import after
from localcloud.rules.refusal import Refusal, documented
from localcloud.rules.transaction import Transaction


class AddressAlreadyBound(Refusal):
    """An EIP must be in status UNBIND before it is bound."""

    code = "UnsupportedOperation.AddressStatusNotPermit"
    template = "The address `{address_id}` must be in status UNBIND before it is bound (got {status})."
    source = documented(
        "AssociateAddress: only in status UNBIND; UnsupportedOperation.AddressStatusNotPermit", page="215/16700"
    )


class HaVipAddressAlreadyBound(AddressAlreadyBound):
    """An EIP must be unbound before it is bound to a HAVIP."""

    code = "UnsupportedOperation.BindEIP"
    source = documented("HaVipAssociateAddressIp: an unbound EIP; UnsupportedOperation.BindEIP", page="215/30649")


class GatewayAddressAlreadyBound(AddressAlreadyBound):
    """An EIP must be unbound before it is bound to a NAT gateway."""

    code = "ResourceInUse.Address"
    source = documented("AssociateNatGatewayAddress, 215/36721: ResourceInUse.Address", page="215/36722")


class AddressBusyForVpc(address.AddressBusy):
    """An EIP cannot be bound to a HAVIP or NAT gateway, or unbound from a HAVIP, while a task is running on it."""

    code = "UnsupportedOperation.MutexOperationTaskRunning"
    source = documented(
        "HaVipAssociateAddressIp, 215/30648, 215/36722: UnsupportedOperation.MutexOperationTaskRunning",
        page="215/30649",
    )


class AddressNotBound(Refusal):
    """An EIP must be bound before it is unbound."""

    code = "InvalidAddressIdStatus.NotPermit"
    template = "The address `{address_id}` must be bound before it is unbound (status {status})."
    source = documented(
        "DisassociateAddress: only in status BIND or BIND_ENI; InvalidAddressIdStatus.NotPermit", page="215/16703"
    )


class UnboundByAnotherAction(Refusal):
    """An EIP on a NAT gateway or a HAVIP must be unbound with the action of that product."""

    code = "InvalidInstance.NotSupported"
    template = "The address `{address_id}` on `{target_id}` must be unbound with {action}."
    source = documented(
        "DisassociateAddress: EIPs on instances and interfaces, not on NAT gateways; InvalidInstance.NotSupported",
        page="215/16703",
    )


class InstanceHasAddress(Refusal):
    """The primary address of an instance can have only one EIP."""

    code = "InvalidInstanceId.AlreadyBindEip"
    template = "The instance `{instance_id}` must not already have an address (has `{address_id}`)."
    source = documented("AssociateAddress: InvalidInstanceId.AlreadyBindEip", page="215/16700")


class InstanceHasPublicAddress(Refusal):
    """An EIP cannot be bound to an instance that was created with a public address."""

    code = "InvalidParameterValue.InstanceHasWanIP"
    template = "The instance `{instance_id}` must not have an ordinary public address (has {ip})."
    source = documented("AssociateAddress: the ordinary public IP must be returned first", page="215/16700")


class PrivateAddressHasAddress(Refusal):
    """A private address can have only one EIP."""

    code = "InvalidPrivateIpAddress.AlreadyBindEip"
    template = "The private address `{private}` of `{target_id}` must not already have an address (has `{address_id}`)."
    source = documented("AssociateAddress: InvalidPrivateIpAddress.AlreadyBindEip", page="215/16700")


class PrivateAddressNotFound(Refusal):
    """The interface to which an EIP is bound must exist and have the private address."""

    code = "InvalidNetworkInterfaceId.NotFound"
    template = (
        "NetworkInterfaceId must identify an existing interface with the private address `{address}` (got "
        "`{interface_id}`)."
    )
    source = documented(
        "AssociateAddress: PrivateIpAddress on NetworkInterfaceId; InvalidNetworkInterfaceId.NotFound",
        page="215/16700",
    )


class HaVipHasAddress(Refusal):
    """A HAVIP can have only one EIP."""

    code = "UnsupportedOperation.BindEIP"
    template = "The HAVIP `{havip_id}` must not already have an address (has `{address_id}`)."
    source = documented("HaVipAssociateAddressIp: a HAVIP without EIP; UnsupportedOperation.BindEIP", page="215/30649")


class HaVipHasNoAddress(Refusal):
    """A HAVIP must have an EIP before the EIP is unbound."""

    code = "UnsupportedOperation.UnbindEIP"
    template = "The HAVIP `{havip_id}` must have an address."
    source = documented("HaVipDisassociateAddressIp: UnsupportedOperation.UnbindEIP", page="215/30648")


class InstanceStateForbidsBinding(Refusal):
    """An EIP can be bound only to an instance that is running or stopped."""

    code = "InvalidParameterValue.InvalidInstanceState"
    template = "The instance `{instance_id}` must be in state RUNNING or STOPPED (got {state})."
    source = documented("AssociateAddress: InvalidParameterValue.InvalidInstanceState", page="215/16700")


class TargetUnsupported(Refusal):
    """AssociateAddress must identify an instance, or an interface and its private address."""

    code = "InvalidParameterValue.ResourceNotSupport"
    template = "The target must be an instance, or an interface with a private address (got `{target_id}`)."
    source = documented(
        "AssociateAddress: an instance or an interface; HAVIPs and NAT gateways have separate actions; "
        "InvalidParameterValue.ResourceNotSupport",
        page="215/16700",
    )


class TargetMissing(Refusal):
    """A request to bind an EIP must have an instance or an interface."""

    code = "InvalidParameterValue.MissingAssociateEntity"
    template = "The request must have InstanceId, or NetworkInterfaceId and PrivateIpAddress."
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


def _check_target(target: instance.Instance) -> None:
    if target.public_address is not None:
        raise InstanceHasPublicAddress(instance_id=target.id, ip=target.public_address)
    if target.state not in {"RUNNING", "STOPPED"}:
        raise InstanceStateForbidsBinding(instance_id=target.id, state=target.state)


def bind_to_instance(tx: Transaction, address_id: str, instance_id: str) -> str:
    """AssociateAddress to the primary private address of an instance. Returns the task ID."""
    found = address.get(tx, address_id)
    _check_bindable(found)
    target = instance.get(tx, instance_id)
    _check_target(target)
    for other in address.of_target(tx, instance_id):
        raise InstanceHasAddress(instance_id=instance_id, address_id=other.id)
    eni = interface.get(tx, target.interface_id)
    return _bind(tx, found, instance_id, eni.id, eni.address)


def bind_to_interface(tx: Transaction, address_id: str, interface_id: str, private: IPv4Address) -> str:
    """AssociateAddress to the private address of an interface. Returns the task ID."""
    found = address.get(tx, address_id)
    _check_bindable(found)
    eni = tx.find(interface.Interface, interface_id)
    if eni is None or eni.address != private:
        raise PrivateAddressNotFound(address=private, interface_id=interface_id)
    _check_target(instance.get(tx, eni.instance_id))
    for other in address.of_target(tx, eni.instance_id):
        raise PrivateAddressHasAddress(private=private, target_id=interface_id, address_id=other.id)
    return _bind(tx, found, eni.instance_id, interface_id, private)


def bind_to_havip(tx: Transaction, found: Address, havip_id: str) -> str:
    """HaVipAssociateAddressIp. Returns the task ID."""
    target = havip.get(tx, havip_id)
    for other in address.of_target(tx, havip_id):
        raise HaVipHasAddress(havip_id=havip_id, address_id=other.id)
    _check_bindable(found, AddressBusyForVpc, HaVipAddressAlreadyBound)
    return _bind(tx, found, havip_id, "", target.address)


def bind_to_gateway(tx: Transaction, found: Address, gateway_id: str) -> None:
    """Bind an EIP to a NAT gateway immediately; the task belongs to the gateway."""
    _check_bindable(found, AddressBusyForVpc, GatewayAddressAlreadyBound)
    tx.put(replace(found, status="BIND", target_id=gateway_id))


def unbind_from_gateway(tx: Transaction, found: Address) -> None:
    """Unbind an EIP from a NAT gateway immediately."""
    tx.put(replace(found, status="UNBIND", target_id=""))


def unbind(tx: Transaction, found: Address) -> str:
    """DisassociateAddress. Returns the task ID."""
    address.check_idle(found)
    if found.status != "BIND":
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
