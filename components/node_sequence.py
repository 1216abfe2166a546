"""Takes the nodes of a group out of service one at a time, within one run of the program. Independent of Pulumi.

The change lock on the nodes, which a rollout takes, also excludes other runs (provisioning/change_lock.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from provisioning.errors import SwitchoverError

# Enough time for a resized node to boot, start its services and pass its health checks.
_RETRY_TIMEOUT_S = 300
_RETRY_INTERVAL_S = 5


class Group(Protocol):
    """The nodes of the last deployment."""

    def switch_over(self, node: str) -> Awaitable[None]:
        """Drain a node and switch its virtual IPs over to a peer. Raises: SwitchoverError if no peer is healthy."""
        ...

    def retire(self, node: str) -> Awaitable[None]:
        """Switch over, then stop the node's services and release its data disk. Raises: SwitchoverError."""
        ...


class NodeSequence:
    """Serializes changes of a group's nodes. Call all methods from the same event loop."""

    def __init__(self, group: Group, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._group = group
        self._sleep = sleep
        self._lock = asyncio.Lock()
        self._changing: str | None = None
        self._changed: str | None = None
        self._removed: str | None = None
        self._declared: set[str] = set()

    def declare(self, node: str) -> None:
        """Record that this run has created or updated the node. A later deletion is then not a replacement."""
        self._declared.add(node)

    async def begin_change(self, node: str) -> None:
        """Wait until no other node is changing, then take the node out of service. Call `end` after the change.

        Raises: SwitchoverError (nothing was changed, and the next node may begin).
        """
        await self._lock.acquire()
        try:
            self._refuse_after_removal(node)
            await self._with_retries(self._group.switch_over, node)
        except BaseException:
            self._lock.release()
            raise
        self._changing = node

    def end(self, node: str) -> None:
        """Let the next node begin, after a successful or failed change. Does nothing if the node is not changing."""
        if self._changing == node:
            self._changing = None
            self._changed = node
            self._lock.release()

    async def begin_removal(self, node: str) -> None:
        """Take the node out of service permanently. Only one node can be removed in a run, because a replacement
        serves only after the rollout. Raises: SwitchoverError.
        """
        if node in self._declared:
            # The program declares the node, and it is deleted: `destroy` deletes the group, so no peer takes over.
            return
        async with self._lock:
            if self._removed == node:
                return
            self._refuse_after_removal(node)
            await self._with_retries(self._group.retire, node)
            self._removed = node

    def _refuse_after_removal(self, node: str) -> None:
        if self._removed is None:
            return
        raise SwitchoverError(
            f"{node}: cannot be changed in the run that removes {self._removed}; {node} was not changed",
            seen=f"a replacement of {self._removed} serves only after the run, so no node would serve until then",
            look_at=f"docs/operations.md; run `tandem up --stack STACK --replace URN` with the URN of {self._removed} "
            f"first, then with the URN of {node}",
        )

    async def _with_retries(self, operation: Callable[[str], Awaitable[None]], node: str) -> None:
        """Retry while the only possible peer may still be starting after its own change."""
        retries = _RETRY_TIMEOUT_S // _RETRY_INTERVAL_S if self._changed else 0
        for _ in range(retries):
            try:
                return await operation(node)
            except SwitchoverError:
                await self._sleep(_RETRY_INTERVAL_S)
        return await operation(node)
