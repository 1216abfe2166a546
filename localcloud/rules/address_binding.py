"""Binding EIPs to machines, interfaces, HAVIPs and NAT gateways, and unbinding them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from localcloud.rules import address, havip, instance, interface, task
from localcloud.rules.address import Address
from localcloud.rules.jobs import after
from localcloud.rules.transaction import Transaction


def _check_bindable(found: Address) -> None:
    address.check_idle(found)
    if found.status != "UNBIND":
        raise address.AddressAlreadyBound(address_id=found.id, status=found.status)


def _bind(tx: Transaction, found: Address, target_id: str, interface_id: str, private: IPv4Address | None) -> str:
    tx.put(replace(found, status="BINDING", target_id=target_id, interface_id=interface_id, private_address=private))
    after(tx, tx.timing.address_s, "address.settled", found.id)
    return task.begin(tx, tx.timing.address_s)


def bind_to_instance(tx: Transaction, address_id: str, instance_id: str) -> str:
    """AssociateAddress to an instance: to its primary private address. Gives the task's id."""
    found = address.get(tx, address_id)
    _check_bindable(found)
    target = instance.get(tx, instance_id)
    if target.public_address is not None:
        raise address.InstanceHasPublicAddress(instance_id=instance_id, ip=target.public_address)
    if target.state not in {"RUNNING", "STOPPED"}:
        raise address.InstanceStateForbidsBinding(instance_id=instance_id, state=target.state)
    for other in address.of_target(tx, instance_id):
        raise address.InstanceHasAddress(instance_id=instance_id, address_id=other.id)
    card = interface.get(tx, target.interface_id)
    return _bind(tx, found, instance_id, card.id, card.address)


def bind_to_interface(tx: Transaction, address_id: str, interface_id: str, private: IPv4Address) -> str:
    """AssociateAddress to one private address of an interface. Gives the task's id."""
    found = address.get(tx, address_id)
    _check_bindable(found)
    card = interface.get(tx, interface_id)
    if all(entry.address != private for entry in card.addresses):
        raise interface.AddressNotOnInterface(address=private, interface_id=interface_id)
    for other in tx.all(Address):
        if other.interface_id == interface_id and other.private_address == private:
            raise address.PrivateAddressHasAddress(private=private, target_id=interface_id, address_id=other.id)
    return _bind(tx, found, card.instance_id or interface_id, interface_id, private)


def bind_to_havip(tx: Transaction, found: Address, havip_id: str) -> str:
    """HaVipAssociateAddressIp, or AssociateAddress to a HAVIP. Gives the task's id."""
    target = havip.get(tx, havip_id)
    for other in address.of_target(tx, havip_id):
        raise address.HaVipHasAddress(havip_id=havip_id, address_id=other.id)
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
    address.check_idle(found)
    if found.status not in {"BIND", "BIND_ENI"}:
        raise address.AddressNotBound(address_id=found.id, status=found.status)
    if found.target_id.startswith("nat-"):
        raise address.GatewayKeepsAddress(address_id=found.id, gateway_id=found.target_id)
    tx.put(replace(found, status="UNBINDING"))
    after(tx, tx.timing.address_s, "address.settled", found.id)
    return task.begin(tx, tx.timing.address_s)


def unbind_havip(tx: Transaction, havip_id: str) -> None:
    """HaVipDisassociateAddressIp."""
    havip.get(tx, havip_id)
    bound = address.of_target(tx, havip_id)
    if not bound:
        raise address.HaVipHasNoAddress(havip_id=havip_id)
    unbind(tx, bound[0])
