"""Black and white lists of the DDoS protection. Nothing is filtered; the lists are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from typing import Literal

from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal, documented
from localcloud.rules.transaction import Transaction

QUOTA = 100
ListType = Literal["black", "white"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressLists(Record):
    """Both lists of one protected instance, whose id is the record's."""

    black: tuple[IPv4Network, ...] = ()
    white: tuple[IPv4Network, ...] = ()


class AlreadyListed(Refusal):
    """A range stands in one of the lists once."""

    code = "InvalidParameterValue"
    template = "The range {network} is already in a list of `{instance_id}`."
    source = documented("the SDK's errorcodes.py (antiddos)")


class NotListed(Refusal):
    """A range that is moved or removed stands in the list."""

    code = "ResourceNotFound"
    template = "The range {network} is not in the {type} list of `{instance_id}`."
    source = documented("the SDK's errorcodes.py (antiddos)")


class ListFull(Refusal):
    """Both lists together hold at most 100 ranges."""

    code = "LimitExceeded"
    template = "The lists of `{instance_id}` can't hold more than 100 ranges."
    source = documented("the SDK's errorcodes.py (antiddos); the figure is assumed")


def of(tx: Transaction, instance_id: str) -> AddressLists:
    """The lists, empty ones for an instance that has none."""
    found = tx.find(AddressLists, instance_id)
    return found or AddressLists(id=instance_id, region="", created=tx.now)


def _entries(lists: AddressLists, kind: ListType) -> tuple[IPv4Network, ...]:
    return lists.black if kind == "black" else lists.white


def _with(lists: AddressLists, kind: ListType, entries: tuple[IPv4Network, ...]) -> AddressLists:
    return replace(lists, black=entries) if kind == "black" else replace(lists, white=entries)


def add(tx: Transaction, instance_id: str, kind: ListType, networks: tuple[IPv4Network, ...]) -> None:
    """Put ranges into a list."""
    for network in networks:
        lists = of(tx, instance_id)
        if network in (*lists.black, *lists.white):
            raise AlreadyListed(network=network, instance_id=instance_id)
        if len(lists.black) + len(lists.white) >= QUOTA:
            raise ListFull(instance_id=instance_id)
        tx.put(_with(lists, kind, (*_entries(lists, kind), network)))


def remove(tx: Transaction, instance_id: str, kind: ListType, networks: tuple[IPv4Network, ...]) -> None:
    """Take ranges out of a list."""
    for network in networks:
        lists = of(tx, instance_id)
        if network not in _entries(lists, kind):
            raise NotListed(network=network, type=kind, instance_id=instance_id)
        tx.put(_with(lists, kind, tuple(one for one in _entries(lists, kind) if one != network)))
