"""One machine at a time: who may go out of service next, decided without Pulumi and without a machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from provisioning.errors import HandOverError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# A resized machine boots, starts its services and passes its checks within this.
_PATIENCE_S = 300
_PAUSE_S = 5


class Group(Protocol):
    """The machines, as they were deployed last."""

    def hand_over(self, machine: str) -> Awaitable[None]:
        """Drain a machine and hand its addresses to a peer. Raises HandOverError unless a peer serves."""
        ...

    def retire(self, machine: str) -> Awaitable[None]:
        """The same, and then stop all that runs there and let go of its data disk."""
        ...


class Turns:
    """Changes of a group's machines, one after the other; every method is for one event loop."""

    def __init__(self, group: Group, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._group = group
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._holder: str | None = None
        self._changed: str | None = None
        self._removed: str | None = None
        self._declared: set[str] = set()

    def declare(self, machine: str) -> None:
        """The machine is as this run wants it; whatever deletes it after this does not replace it."""
        self._declared.add(machine)

    async def begin_change(self, machine: str) -> None:
        """Wait for the turn and take the machine out of service; `end` gives the turn back.

        Raises HandOverError: then nothing was changed, and the turn is free again.
        """
        await self._turn.acquire()
        try:
            self._refuse_after_a_removal(machine)
            await self._patiently(self._group.hand_over, machine)
        except BaseException:
            self._turn.release()
            raise
        self._holder = machine

    def end(self, machine: str) -> None:
        """The change is done, or has failed. Without a turn taken this does nothing."""
        if self._holder == machine:
            self._holder = None
            self._changed = machine
            self._turn.release()

    async def begin_removal(self, machine: str) -> None:
        """Take the machine out of service for good. Its successor, if any, serves after the rollout only:
        so one machine can be removed in one run. Raises HandOverError.
        """
        if machine in self._declared:
            # Wanted by the program and deleted all the same: `destroy`. The whole group goes, nobody is left to serve.
            return
        async with self._turn:
            if self._removed == machine:
                return
            self._refuse_after_a_removal(machine)
            await self._patiently(self._group.retire, machine)
            self._removed = machine

    def _refuse_after_a_removal(self, machine: str) -> None:
        if self._removed is None:
            return
        raise HandOverError(
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
            except HandOverError:
                await self._sleep(_PAUSE_S)
        return await leave(machine)
