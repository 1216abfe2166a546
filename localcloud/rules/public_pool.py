"""The public addresses that the cloud gives out: 203.0.113.0/24, a documentation range (RFC 5737)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

from localcloud.rules.refusal import Refusal, documented
from localcloud.rules.transaction import Transaction

POOL = IPv4Network("203.0.113.0/24")
FIRST = 10  # the lower ones are for the internet side's own machines

Holder = Callable[[Transaction], list[IPv4Address]]

_HOLDERS: list[Holder] = []


class PoolEmpty(Refusal):
    """A public address is given out only while the pool has one left."""

    code = "ResourceInsufficient"
    template = "No public address is left in {pool}."
    source = documented("AllocateAddresses: ResourceInsufficient", page="215/16699")


def holds(holder: Holder) -> Holder:
    """Register a function that lists the public addresses that one kind of resource holds, in all regions."""
    _HOLDERS.append(holder)
    return holder


def free_address(tx: Transaction) -> IPv4Address:
    """The lowest address that nobody holds. Raises PoolEmpty."""
    taken = {address for holder in _HOLDERS for address in holder(tx)}
    for number in range(FIRST, POOL.num_addresses - 1):
        if POOL[number] not in taken:
            return POOL[number]
    raise PoolEmpty(pool=POOL)
