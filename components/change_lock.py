"""Only one node of a group is out of service at a time. Knows neither Pulumi nor nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from provisioning.errors import SwitchoverError

# A resized node boots, starts its services and passes its checks within this.
_PATIENCE_S = 300
_PAUSE_S = 5


class Group(Protocol):
    """The nodes, as they were deployed last."""

    def switch_over(self, node: str) -> Awaitable[None]:
        """Drain a node and hand its addresses to a peer. Raises SwitchoverError unless a peer serves."""
        ...

    def retire(self, node: str) -> Awaitable[None]:
        """The same, and then stop all that runs there and let go of its data disk."""
        ...


class ChangeLock:
    """Changes of a group's nodes, one after the other; every method is for one event loop."""

    def __init__(self, group: Group, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._group = group
        self._sleep = sleep
        self._lock = asyncio.Lock()
        self._holder: str | None = None
        self._changed: str | None = None
        self._removed: str | None = None
        self._declared: set[str] = set()

    def declare(self, node: str) -> None:
        """The node is as this run wants it; whatever deletes it after this does not replace it."""
        self._declared.add(node)

    async def begin_change(self, node: str) -> None:
        """Take the lock and take the node out of service; `end` releases the lock.

        Raises SwitchoverError: then nothing was changed, and the lock is free again.
        """
        await self._lock.acquire()
        try:
            self._refuse_after_a_removal(node)
            await self._patiently(self._group.switch_over, node)
        except BaseException:
            self._lock.release()
            raise
        self._holder = node

    def end(self, node: str) -> None:
        """The change is done, or has failed. Does nothing unless the node holds the lock."""
        if self._holder == node:
            self._holder = None
            self._changed = node
            self._lock.release()

    async def begin_removal(self, node: str) -> None:
        """Take the node out of service for good. Its successor, if any, serves after the rollout only:
        so one node can be removed in one run. Raises SwitchoverError.
        """
        if node in self._declared:
            # Wanted by the program and deleted all the same: `destroy`. The whole group goes, nobody is left to serve.
            return
        async with self._lock:
            if self._removed == node:
                return
            self._refuse_after_a_removal(node)
            await self._patiently(self._group.retire, node)
            self._removed = node

    def _refuse_after_a_removal(self, node: str) -> None:
        if self._removed is None:
            return
        raise SwitchoverError(
            f"{node}: not touched, because {self._removed} goes in this same run and serves again only after it",
            seen="with both gone at once nobody would answer",
            look_at=f"one at a time: `pulumi up --replace` with the URN of {self._removed}, and when that is done with "
            f"that of {node} (`pulumi stack --show-urns`; docs/operations.md)",
        )

    async def _patiently(self, leave: Callable[[str], Awaitable[None]], node: str) -> None:
        """The peer may be the node that was changed a moment ago, and still be starting."""
        waits = _PATIENCE_S // _PAUSE_S if self._changed else 0
        for _ in range(waits):
            try:
                return await leave(node)
            except SwitchoverError:
                await self._sleep(_PAUSE_S)
        return await leave(node)
