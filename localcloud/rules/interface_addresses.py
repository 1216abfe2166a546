"""Secondary private addresses of network interfaces."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from localcloud.rules import interface, subnet
from localcloud.rules.refusal import Refusal, documented
from localcloud.rules.transaction import Transaction


class AddressNotOnInterface(Refusal):
    """A private address to unassign must be on the interface."""

    code = "UnsupportedOperation.AttachmentNotFound"
    template = "The address `{address}` must be on network interface `{interface_id}`."
    source = documented("UnassignPrivateIpAddresses: UnsupportedOperation.AttachmentNotFound", page="215/15814")


class PrimaryAddressNotRemovable(Refusal):
    """The primary address of an interface cannot be unassigned."""

    code = "UnsupportedOperation"
    template = "The primary address `{address}` cannot be unassigned from `{interface_id}`."
    source = documented("UnassignPrivateIpAddresses: not the primary address; UnsupportedOperation", page="215/15814")


class TooManyAddresses(Refusal):
    """An interface cannot have more private addresses than its instance type allows, or 30 if detached."""

    code = "LimitExceeded"
    template = "The network interface `{interface_id}` cannot have more than {limit} private addresses."
    source = documented(
        "ENI limits: addresses of each interface by instance type; LimitExceeded (215/15813)",
        page="576/18527",
    )


def add(
    tx: Transaction, interface_id: str, requested: tuple[IPv4Address, ...], extra: int, limit: int = 30
) -> tuple[interface.PrivateAddress, ...]:
    """Assign the given secondary addresses and `extra` free ones."""
    added: list[interface.PrivateAddress] = []
    place = subnet.get(tx, interface.get(tx, interface_id).subnet_id)
    for address in (*requested, *([None] * extra)):
        present = interface.get(tx, interface_id)
        if len(present.addresses) >= limit:
            raise TooManyAddresses(interface_id=interface_id, limit=limit)
        if address is not None:
            subnet.check_free(tx, place, address)
        entry = interface.PrivateAddress(address or subnet.free_address(tx, place), primary=False)
        tx.put(replace(present, addresses=(*present.addresses, entry)))
        added.append(entry)
    return tuple(added)


def remove(tx: Transaction, interface_id: str, removed: tuple[IPv4Address, ...]) -> None:
    """Unassign secondary addresses."""
    present = interface.get(tx, interface_id)
    for address in removed:
        entry = next((entry for entry in present.addresses if entry.address == address), None)
        if entry is None:
            raise AddressNotOnInterface(address=address, interface_id=interface_id)
        if entry.primary:
            raise PrimaryAddressNotRemovable(address=address, interface_id=interface_id)
    tx.put(replace(present, addresses=tuple(entry for entry in present.addresses if entry.address not in removed)))
