"""Who uses what: a resource in use is not deleted.

A kind that refers to another registers a function that finds the users of one resource. So the used kind
needs not know its users, and no two files import each other.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network

from localcloud.rules.records import Record
from localcloud.rules.transaction import Transaction

Finder = Callable[[Transaction, str], list[str]]
RangeFinder = Callable[[Transaction, str, IPv4Network], list[str]]

_FINDERS: dict[type[Record], list[Finder]] = {}
_RANGE_FINDERS: list[RangeFinder] = []


def uses(used: type[Record]) -> Callable[[Finder], Finder]:
    """Register a function (transaction, id of the used) -> ids of its users."""

    def register(finder: Finder) -> Finder:
        _FINDERS.setdefault(used, []).append(finder)
        return finder

    return register


def uses_range(finder: RangeFinder) -> RangeFinder:
    """Register a function (transaction, VPC id, range) -> ids of what was cut from the range."""
    _RANGE_FINDERS.append(finder)
    return finder


def users(tx: Transaction, used: Record) -> list[str]:
    """Ids of everything that uses the record."""
    return [user for finder in _FINDERS.get(type(used), ()) for user in finder(tx, used.id)]


def users_of_range(tx: Transaction, vpc_id: str, cidr: IPv4Network) -> list[str]:
    """Ids of everything that was cut from one of a VPC's ranges."""
    return [user for finder in _RANGE_FINDERS for user in finder(tx, vpc_id, cidr)]


Release = Callable[[Transaction, Record], None]

_RELEASES: dict[type[Record], list[Release]] = {}


def on_release(kind: type[Record]) -> Callable[[Release], Release]:
    """Register what has to let go of a record when it disappears (as an EIP does of a terminated instance)."""

    def register(release: Release) -> Release:
        _RELEASES.setdefault(kind, []).append(release)
        return release

    return register


def release(tx: Transaction, gone: Record) -> None:
    """Let everything that held on to the record let go."""
    for one in _RELEASES.get(type(gone), ()):
        one(tx, gone)
