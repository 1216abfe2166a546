"""Secondary private addresses of network interfaces."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from localcloud.rules import interface, subnet
from localcloud.rules.refusal import Refusal, documented
from localcloud.rules.transaction import Transaction


class AddressNotOnInterface(Refusal):
    """A private address that is taken from an interface is one of its own."""

    code = "UnsupportedOperation.AttachmentNotFound"
    template = "The address `{address}` is not on network interface `{interface_id}`."
    source = documented("UnassignPrivateIpAddresses: UnsupportedOperation.AttachmentNotFound", page="215/15814")


class PrimaryAddressStays(Refusal):
    """An interface keeps its primary address."""

    code = "UnsupportedOperation"
    template = "The address `{address}` is the primary address of `{interface_id}`."
    source = documented("UnassignPrivateIpAddresses: not the primary address; UnsupportedOperation", page="215/15814")


class TooManyAddresses(Refusal):
    """An interface has as many private addresses as its instance's type allows, 30 if it has none."""

    code = "LimitExceeded"
    template = "The network interface `{interface_id}` can't have more than {limit} private addresses."
    source = documented(
        "ENI limits: addresses for each interface by instance type; LimitExceeded (215/15813)", page="576/18527"
    )


def add(
    tx: Transaction, interface_id: str, wanted: tuple[IPv4Address, ...], extra: int, limit: int = 30
) -> tuple[interface.PrivateAddress, ...]:
    """Give it these secondary addresses, and so many more."""
    added: list[interface.PrivateAddress] = []
    place = subnet.get(tx, interface.get(tx, interface_id).subnet_id)
    for address in (*wanted, *([None] * extra)):
        present = interface.get(tx, interface_id)
        if len(present.addresses) >= limit:
            raise TooManyAddresses(interface_id=interface_id, limit=limit)
        if address is not None:
            subnet.check_free(tx, place, address)
        entry = interface.PrivateAddress(address or subnet.free_address(tx, place), primary=False)
        tx.put(replace(present, addresses=(*present.addresses, entry)))
        added.append(entry)
    return tuple(added)


def remove(tx: Transaction, interface_id: str, doomed: tuple[IPv4Address, ...]) -> None:
    """Take secondary addresses away."""
    present = interface.get(tx, interface_id)
    for address in doomed:
        entry = next((entry for entry in present.addresses if entry.address == address), None)
        if entry is None:
            raise AddressNotOnInterface(address=address, interface_id=interface_id)
        if entry.primary:
            raise PrimaryAddressStays(address=address, interface_id=interface_id)
    tx.put(replace(present, addresses=tuple(entry for entry in present.addresses if entry.address not in doomed)))
