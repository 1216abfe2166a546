from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from components.change_lock import ChangeLock
from provisioning.errors import SwitchoverError


class FakeGroup:
    """Two nodes that serve, unless a test says otherwise. Keeps what was asked, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refusals = 0  # so many times no peer serves

    async def switch_over(self, node: str) -> None:
        self._leave(f"{node} hands over")

    async def retire(self, node: str) -> None:
        self._leave(f"{node} retires")

    def _leave(self, what: str) -> None:
        self.asked.append(what)
        if self.refusals:
            self.refusals -= 1
            raise SwitchoverError(f"{what}: no peer serves")


class FakeClock:
    def __init__(self) -> None:
        self.waited_s = 0.0

    async def sleep(self, seconds: float) -> None:
        self.waited_s += seconds
        await asyncio.sleep(0)


def _run(test: Callable[[ChangeLock, FakeGroup, FakeClock], Coroutine[Any, Any, None]]) -> None:
    group, clock = FakeGroup(), FakeClock()
    asyncio.run(test(ChangeLock(group, clock.sleep), group, clock))


def test_a_second_node_waits_until_the_first_is_done() -> None:
    async def test(change_lock: ChangeLock, group: FakeGroup, _clock: FakeClock) -> None:
        await change_lock.begin_change("a")
        second = asyncio.create_task(change_lock.begin_change("b"))
        await asyncio.sleep(0.01)
        assert group.asked == ["a hands over"]
        change_lock.end("a")
        await second
        assert group.asked == ["a hands over", "b hands over"]

    _run(test)


def test_a_refused_switchover_fails_the_step_and_frees_the_lock() -> None:
    async def test(change_lock: ChangeLock, group: FakeGroup, _clock: FakeClock) -> None:
        group.refusals = 1
        with pytest.raises(SwitchoverError, match="no peer serves"):
            await change_lock.begin_change("a")
        await asyncio.wait_for(change_lock.begin_change("b"), 1)

    _run(test)


def test_the_first_refusal_is_final_and_later_ones_are_waited_out() -> None:
    async def test(change_lock: ChangeLock, group: FakeGroup, clock: FakeClock) -> None:
        await change_lock.begin_change("a")
        change_lock.end("a")
        # The node changed a moment ago is still booting.
        group.refusals = 3
        await change_lock.begin_change("b")
        assert clock.waited_s == 15
        change_lock.end("b")

    _run(test)


def test_waiting_for_a_node_that_never_comes_back_ends() -> None:
    async def test(change_lock: ChangeLock, group: FakeGroup, clock: FakeClock) -> None:
        await change_lock.begin_change("a")
        change_lock.end("a")
        group.refusals = 10_000
        with pytest.raises(SwitchoverError):
            await change_lock.begin_change("b")
        assert clock.waited_s == 300

    _run(test)


def test_a_failed_change_lets_the_next_node_go_on() -> None:
    async def test(change_lock: ChangeLock, _group: FakeGroup, _clock: FakeClock) -> None:
        await change_lock.begin_change("a")
        waiting = asyncio.create_task(change_lock.begin_change("b"))
        await asyncio.sleep(0)
        change_lock.end("a")  # as the error hook does
        await asyncio.wait_for(waiting, 1)

    _run(test)


def test_the_end_of_a_turn_that_was_never_taken_is_nothing() -> None:
    async def test(change_lock: ChangeLock, _group: FakeGroup, _clock: FakeClock) -> None:
        change_lock.end("a")
        await change_lock.begin_change("a")
        change_lock.end("b")
        assert not await _is_free(change_lock)

    _run(test)


def test_a_replaced_node_retires_once_however_much_hangs_on_it() -> None:
    async def test(change_lock: ChangeLock, group: FakeGroup, _clock: FakeClock) -> None:
        # Its virtual IP, its data disk and itself, at the same time.
        await asyncio.gather(*(change_lock.begin_removal("a") for _ in range(3)))
        assert group.asked == ["a retires"]

    _run(test)


def test_a_second_replacement_in_one_run_is_stopped_with_advice() -> None:
    async def test(change_lock: ChangeLock, group: FakeGroup, _clock: FakeClock) -> None:
        await change_lock.begin_removal("a")
        for begin in (change_lock.begin_removal, change_lock.begin_change):
            with pytest.raises(SwitchoverError) as caught:
                await begin("b")
            assert "b: not touched, because a goes in this same run" in str(caught.value)
            assert "`pulumi up --replace` with the URN of a, and when that is done with that of b" in str(caught.value)
        assert group.asked == ["a retires"]

    _run(test)


def test_destroy_asks_nobody() -> None:
    async def test(change_lock: ChangeLock, group: FakeGroup, _clock: FakeClock) -> None:
        change_lock.declare("a")
        change_lock.declare("b")
        await asyncio.gather(change_lock.begin_removal("a"), change_lock.begin_removal("b"))
        assert group.asked == []

    _run(test)


def test_a_node_taken_out_of_the_settings_retires_while_the_others_stay() -> None:
    async def test(change_lock: ChangeLock, group: FakeGroup, _clock: FakeClock) -> None:
        change_lock.declare("a")
        change_lock.declare("b")
        await change_lock.begin_removal("c")
        assert group.asked == ["c retires"]

    _run(test)


async def _is_free(change_lock: ChangeLock) -> bool:
    try:
        await asyncio.wait_for(change_lock.begin_change("x"), 0.01)
    except TimeoutError:
        return False
    return True
