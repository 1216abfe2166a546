"""Allocation of public addresses from 203.0.113.0/24, a documentation range (RFC 5737)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

from localcloud.rules.refusal import documented, rule
from localcloud.rules.transaction import Transaction

UNASSIGNED = IPv4Address(0)  # the address in a requested record
POOL = IPv4Network("203.0.113.0/24")
FIRST = 10  # lower addresses are reserved for the hosts of the simulated internet

Lister = Callable[[Transaction], list[IPv4Address]]

_LISTERS: list[Lister] = []

PoolEmpty = rule(
    "ResourceInsufficient",
    "The pool must have a free public address for a new resource.",
    documented("AllocateAddresses", page="215/16699"),
)


def holds(lister: Lister) -> Lister:
    """Register a function that lists the public addresses that one kind of resource uses in all regions."""
    _LISTERS.append(lister)
    return lister


def free_address(tx: Transaction) -> IPv4Address:
    """Return the lowest free address. Raises: PoolEmpty."""
    taken = {address for lister in _LISTERS for address in lister(tx)}
    for number in range(FIRST, POOL.num_addresses - 1):
        if POOL[number] not in taken:
            return POOL[number]
    raise PoolEmpty(pool=POOL)
