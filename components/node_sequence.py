"""Takes the nodes of a group out of service one at a time, within one run of the program. Independent of Pulumi.

The change lock on the nodes, which a rollout takes, also excludes other runs (provisioning/change_lock.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from provisioning.errors import SwitchoverError


class Group(Protocol):
    """The nodes of the last deployment."""

    def take_out(self, node: str) -> Awaitable[None]:
        """Take a node out of service. Raises: SwitchoverError if the others do not serve without it."""
        ...

    def retire(self, node: str) -> Awaitable[None]:
        """Take a node out of service, then stop its units and release its data disk. Raises: SwitchoverError."""
        ...

    def check_replacement(self, node: str) -> Awaitable[None]:
        """Check that the node can be created again after its deletion. Raises: SwitchoverError."""
        ...

    def demote(self, node: str) -> Awaitable[None]:
        """Move the virtual IPs of a node that stays in the group to its peers. Raises: SwitchoverError."""
        ...

    def put_back(self, node: str, *, failed: bool) -> Awaitable[None]:
        """Wait until a node serves after its change, and put it back into service. Does not raise."""
        ...


class NodeSequence:
    """Serializes changes of a group's nodes. Call all methods from the same event loop."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._lock = asyncio.Lock()
        self._changing: str | None = None
        self._removed: str | None = None
        self._replaced = False  # the removed node is created again
        self._demoted: set[str] = set()
        self._detached: set[str] = set()
        self._declared: set[str] = set()

    def declare(self, node: str) -> None:
        """Record that this run has created or updated the node. A later deletion is then not a replacement."""
        self._declared.add(node)

    async def begin_change(self, node: str) -> None:
        """Wait until no other node is changing, then take the node out of service. Call `end` after the change.

        Raises: SwitchoverError (the node is in service as before, and the next node may begin).
        """
        await self._lock.acquire()
        try:
            if self._replaced:
                self._refuse_after_removal(node)
            await self._group.take_out(node)
        except BaseException:
            self._lock.release()
            raise
        self._changing = node

    async def end(self, node: str, *, failed: bool = False) -> None:
        """Put the node back into service, and let the next node begin. Does nothing if the node is not changing."""
        if self._changing != node:
            return
        try:
            await self._group.put_back(node, failed=failed)
        finally:
            self._changing = None
            self._lock.release()

    async def begin_removal(self, node: str, *, replaced: bool = False) -> None:
        """Take the node out of service permanently. Only one node can be removed in a run, because a replacement
        serves only after the rollout. `replaced`: the node is created again. Raises: SwitchoverError.
        """
        if node in self._declared:
            # The program declares the node, and it is deleted: `destroy` deletes the group, so no peer takes over.
            return
        async with self._lock:
            if self._removed == node:
                return
            self._refuse_after_removal(node)
            if replaced:
                await self._group.check_replacement(node)
            await self._group.retire(node)
            self._removed, self._replaced = node, replaced

    async def begin_demotion(self, node: str) -> None:
        """Move the virtual IPs of a node that stays in the group, but may not hold them any more.

        Raises: SwitchoverError.
        """
        async with self._lock:
            if node not in self._demoted:
                await self._group.demote(node)
                self._demoted.add(node)

    def record_detached(self, node: str) -> None:
        """Record that a resource attached to the node was deleted. The node cannot serve as before without it."""
        self._detached.add(node)

    async def cancel_removal(self, node: str) -> None:
        """Put a node back into service after its deletion before a replacement has failed.

        A node without its attached resources stays out, and so does a node that has left the group: it is deleted after
        the rollout, in which the others have dropped it as a VRRP peer, so two nodes would hold the virtual IP.
        """
        async with self._lock:
            if self._removed == node and self._replaced and node not in self._detached:
                await self._group.put_back(node, failed=True)
                self._removed = None

    def _refuse_after_removal(self, node: str) -> None:
        if self._removed is None:
            return
        raise SwitchoverError(
            f"{node}: cannot be changed in the run that removes {self._removed}; {node} was not changed",
            seen=f"a replacement of {self._removed} serves only after the run, so no node would serve until then",
            look_at=f"docs/operations.md; run `tandem replace {self._removed} --stack STACK` first, "
            f"then `tandem replace {node} --stack STACK`",
        )
