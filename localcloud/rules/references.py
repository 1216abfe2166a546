"""References between resources: a resource in use cannot be deleted.

A kind that refers to another registers a function that finds the users of one resource. Therefore the used kind
does not import its users, and there are no import cycles.
"""

from __future__ import annotations

from collections.abc import Callable

from localcloud.rules.records import Record
from localcloud.rules.transaction import Transaction

Finder = Callable[[Transaction, str], list[str]]

_FINDERS: dict[type[Record], list[Finder]] = {}


def uses(used: type[Record]) -> Callable[[Finder], Finder]:
    """Register a function (transaction, ID of the used resource) -> IDs of its users."""

    def register(finder: Finder) -> Finder:
        _FINDERS.setdefault(used, []).append(finder)
        return finder

    return register


def users(tx: Transaction, used: Record) -> list[str]:
    return [user for finder in _FINDERS.get(type(used), ()) for user in finder(tx, used.id)]


Release = Callable[[Transaction, Record], None]

_RELEASES: dict[type[Record], list[Release]] = {}


def on_release(kind: type[Record]) -> Callable[[Release], Release]:
    """Register a function that removes references to a deleted record, for example the binding of an EIP."""

    def register(release: Release) -> Release:
        _RELEASES.setdefault(kind, []).append(release)
        return release

    return register


def release(tx: Transaction, deleted: Record) -> None:
    """Call the registered functions to remove all references to a record that is being deleted."""
    for one in _RELEASES.get(type(deleted), ()):
        one(tx, deleted)
