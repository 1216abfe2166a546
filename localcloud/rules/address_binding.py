"""Rules for binding and unbinding EIPs to instances, interfaces, HAVIPs and NAT gateways."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from localcloud.rules import address, havip, instance, interface, task
from localcloud.rules.address import Address
from localcloud.rules.jobs import after
from localcloud.rules.refusal import Refusal, documented, rule
from localcloud.rules.transaction import Transaction

_ASSOCIATE_ADDRESS = documented("AssociateAddress", page="215/16700")
AddressAlreadyBound = rule(
    "UnsupportedOperation.AddressStatusNotPermit",
    "An EIP must be in status UNBIND before it is bound.",
    documented("AssociateAddress: only in status UNBIND", page="215/16700"),
)
HaVipAddressAlreadyBound = rule(
    "UnsupportedOperation.BindEIP",
    "An EIP must be unbound before it is bound to a HAVIP.",
    documented("HaVipAssociateAddressIp: an unbound EIP", page="215/30649"),
)
GatewayAddressAlreadyBound = rule(
    "ResourceInUse.Address",
    "An EIP must be unbound before it is bound to a NAT gateway.",
    documented("AssociateNatGatewayAddress, 215/36721", page="215/36722"),
)
AddressBusyForVpc = rule(
    "UnsupportedOperation.MutexOperationTaskRunning",
    "An EIP cannot be bound to a HAVIP or NAT gateway, or unbound from a HAVIP, while a task is running on it.",
    documented("HaVipAssociateAddressIp, 215/30648, 215/36722", page="215/30649"),
)
AddressNotBound = rule(
    "InvalidAddressIdStatus.NotPermit",
    "An EIP must be bound before it is unbound.",
    documented("DisassociateAddress: only in status BIND or BIND_ENI", page="215/16703"),
)
UnboundByAnotherAction = rule(
    "InvalidInstance.NotSupported",
    "An EIP on a NAT gateway or a HAVIP must be unbound with the action of that product.",
    documented("DisassociateAddress: EIPs on instances and interfaces, not on NAT gateways", page="215/16703"),
)
InstanceHasAddress = rule(
    "InvalidInstanceId.AlreadyBindEip", "The primary address of an instance can have only one EIP.", _ASSOCIATE_ADDRESS
)
InstanceHasPublicAddress = rule(
    "InvalidParameterValue.InstanceHasWanIP",
    "An EIP cannot be bound to an instance that was created with a public address.",
    documented("AssociateAddress: the ordinary public IP must be returned first", page="215/16700"),
)
PrivateAddressHasAddress = rule(
    "InvalidPrivateIpAddress.AlreadyBindEip", "A private address can have only one EIP.", _ASSOCIATE_ADDRESS
)
PrivateAddressNotFound = rule(
    "InvalidNetworkInterfaceId.NotFound",
    "The interface to which an EIP is bound must exist and have the private address.",
    documented("AssociateAddress: PrivateIpAddress on NetworkInterfaceId", page="215/16700"),
)
HaVipHasAddress = rule(
    "UnsupportedOperation.BindEIP",
    "A HAVIP can have only one EIP.",
    documented("HaVipAssociateAddressIp: a HAVIP without EIP", page="215/30649"),
)
HaVipHasNoAddress = rule(
    "UnsupportedOperation.UnbindEIP",
    "A HAVIP must have an EIP before the EIP is unbound.",
    documented("HaVipDisassociateAddressIp", page="215/30648"),
)
InstanceStateForbidsBinding = rule(
    "InvalidParameterValue.InvalidInstanceState",
    "An EIP can be bound only to an instance that is running or stopped.",
    _ASSOCIATE_ADDRESS,
)
TargetUnsupported = rule(
    "InvalidParameterValue.ResourceNotSupport",
    "AssociateAddress must identify an instance, or an interface and its private address.",
    documented("AssociateAddress: an instance or an interface", page="215/16700"),
)
TargetMissing = rule(
    "InvalidParameterValue.MissingAssociateEntity",
    "A request to bind an EIP must have an instance or an interface.",
    _ASSOCIATE_ADDRESS,
)


def _check_bindable(
    found: Address, busy: type[Refusal] = address.AddressBusy, bound: type[Refusal] = AddressAlreadyBound
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
        raise InstanceStateForbidsBinding(got=target.state, instance_id=target.id)


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
        raise PrivateAddressNotFound(got=interface_id, address=private)
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
