"""Only one node of a group is out of service at a time. Knows neither Pulumi nor nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from provisioning.errors import SwitchoverError

# A resized machine boots, starts its services and passes its checks within this.
_PATIENCE_S = 300
_PAUSE_S = 5


class Group(Protocol):
    """The machines, as they were deployed last."""

    def switch_over(self, machine: str) -> Awaitable[None]:
        """Drain a machine and hand its addresses to a peer. Raises SwitchoverError unless a peer serves."""
        ...

    def retire(self, machine: str) -> Awaitable[None]:
        """The same, and then stop all that runs there and let go of its data disk."""
        ...


class ChangeLock:
    """Changes of a group's machines, one after the other; every method is for one event loop."""

    def __init__(self, group: Group, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._group = group
        self._sleep = sleep
        self._lock = asyncio.Lock()
        self._holder: str | None = None
        self._changed: str | None = None
        self._removed: str | None = None
        self._declared: set[str] = set()

    def declare(self, machine: str) -> None:
        """The machine is as this run wants it; whatever deletes it after this does not replace it."""
        self._declared.add(machine)

    async def begin_change(self, machine: str) -> None:
        """Take the lock and take the machine out of service; `end` releases the lock.

        Raises SwitchoverError: then nothing was changed, and the lock is free again.
        """
        await self._lock.acquire()
        try:
            self._refuse_after_a_removal(machine)
            await self._patiently(self._group.switch_over, machine)
        except BaseException:
            self._lock.release()
            raise
        self._holder = machine

    def end(self, machine: str) -> None:
        """The change is done, or has failed. Does nothing unless the machine holds the lock."""
        if self._holder == machine:
            self._holder = None
            self._changed = machine
            self._lock.release()

    async def begin_removal(self, machine: str) -> None:
        """Take the machine out of service for good. Its successor, if any, serves after the rollout only:
        so one machine can be removed in one run. Raises SwitchoverError.
        """
        if machine in self._declared:
            # Wanted by the program and deleted all the same: `destroy`. The whole group goes, nobody is left to serve.
            return
        async with self._lock:
            if self._removed == machine:
                return
            self._refuse_after_a_removal(machine)
            await self._patiently(self._group.retire, machine)
            self._removed = machine

    def _refuse_after_a_removal(self, machine: str) -> None:
        if self._removed is None:
            return
        raise SwitchoverError(
            f"{machine}: not touched, because {self._removed} goes in this same run and serves again only after it",
            seen="with both gone at once nobody would answer",
            look_at=f"one at a time: `pulumi up --replace` with the URN of {self._removed}, and when that is done with "
            f"that of {machine} (`pulumi stack --show-urns`; docs/operations.md)",
        )

    async def _patiently(self, leave: Callable[[str], Awaitable[None]], machine: str) -> None:
        """The peer may be the machine that was changed a moment ago, and still be starting."""
        waits = _PATIENCE_S // _PAUSE_S if self._changed else 0
        for _ in range(waits):
            try:
                return await leave(machine)
            except SwitchoverError:
                await self._sleep(_PAUSE_S)
        return await leave(machine)
