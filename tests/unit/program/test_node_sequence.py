from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from components.node_sequence import NodeSequence
from provisioning.errors import SwitchoverError


class FakeGroup:
    """A group with healthy peers by default. Records the calls in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.refusals = 0  # number of calls that fail because no peer is healthy

    async def take_out(self, node: str) -> None:
        self._call(f"take out {node}")

    async def retire(self, node: str) -> None:
        self._call(f"retire {node}")

    async def check_replacement(self, node: str) -> None:
        self._call(f"check {node}")

    async def demote(self, node: str) -> None:
        self._call(f"demote {node}")

    async def put_back(self, node: str, *, failed: bool) -> None:
        self.calls.append(f"put back {node}" + (" after a failure" if failed else ""))

    def _call(self, call: str) -> None:
        self.calls.append(call)
        if self.refusals:
            self.refusals -= 1
            raise SwitchoverError(f"{call}: no peer is healthy")


def _run(test: Callable[[NodeSequence, FakeGroup], Coroutine[Any, Any, None]]) -> None:
    group = FakeGroup()
    asyncio.run(test(NodeSequence(group), group))


def test_a_second_change_waits_until_the_first_has_ended() -> None:
    async def test(sequence: NodeSequence, group: FakeGroup) -> None:
        await sequence.begin_change("a")
        second = asyncio.create_task(sequence.begin_change("b"))
        await asyncio.sleep(0.01)
        assert group.calls == ["take out a"]
        await sequence.end("a")
        await second
        assert group.calls == ["take out a", "put back a", "take out b"]

    _run(test)


def test_a_refused_switchover_fails_the_change_and_lets_the_next_node_begin() -> None:
    async def test(sequence: NodeSequence, group: FakeGroup) -> None:
        group.refusals = 1
        with pytest.raises(SwitchoverError, match="no peer is healthy"):
            await sequence.begin_change("a")
        await asyncio.wait_for(sequence.begin_change("b"), 1)

    _run(test)


def test_the_next_node_begins_when_the_changed_one_is_back_in_service() -> None:
    async def test(sequence: NodeSequence, group: FakeGroup) -> None:
        await sequence.begin_change("a")
        await sequence.end("a", failed=True)
        assert group.calls == ["take out a", "put back a after a failure"]

    _run(test)


def test_a_failed_change_releases_the_lock_for_the_next_node() -> None:
    async def test(sequence: NodeSequence, _group: FakeGroup) -> None:
        await sequence.begin_change("a")
        waiting = asyncio.create_task(sequence.begin_change("b"))
        await asyncio.sleep(0)
        await sequence.end("a")  # as the error hook does
        await asyncio.wait_for(waiting, 1)

    _run(test)


def test_ending_a_change_that_did_not_begin_has_no_effect() -> None:
    async def test(sequence: NodeSequence, _group: FakeGroup) -> None:
        await sequence.end("a")
        await sequence.begin_change("a")
        await sequence.end("b")
        assert not await _is_free(sequence)

    _run(test)


def test_a_node_with_several_attached_resources_is_retired_once() -> None:
    async def test(sequence: NodeSequence, group: FakeGroup) -> None:
        # The hooks of its HAVIP attachment, its disk attachment and its instance run concurrently.
        await asyncio.gather(*(sequence.begin_removal("a") for _ in range(3)))
        assert group.calls == ["retire a"]

    _run(test)


def test_a_second_replacement_in_one_run_is_refused_with_advice() -> None:
    async def test(sequence: NodeSequence, group: FakeGroup) -> None:
        await sequence.begin_removal("a", replaced=True)
        for begin in (sequence.begin_removal, sequence.begin_change):
            with pytest.raises(SwitchoverError) as caught:
                await begin("b")
            assert "b: cannot be changed in the run that removes a; b was not changed" in str(caught.value)
            advice = "`tandem replace a --stack STACK` first, then `tandem replace b --stack STACK`"
            assert advice in str(caught.value)
        assert group.calls == ["check a", "retire a"]

    _run(test)


def test_a_node_is_changed_in_the_run_that_removes_another_one_for_good() -> None:
    async def test(sequence: NodeSequence, group: FakeGroup) -> None:
        await sequence.begin_removal("a")
        await sequence.begin_change("b")
        await sequence.end("b")
        with pytest.raises(SwitchoverError):
            await sequence.begin_removal("c", replaced=True)
        assert group.calls == ["retire a", "take out b", "put back b"]

    _run(test)


def test_a_node_whose_deletion_fails_is_put_back_and_can_be_removed_again() -> None:
    async def test(sequence: NodeSequence, group: FakeGroup) -> None:
        await sequence.begin_removal("a", replaced=True)
        await sequence.cancel_removal("a")
        await sequence.begin_removal("a", replaced=True)
        assert group.calls == ["check a", "retire a", "put back a after a failure", "check a", "retire a"]

    _run(test)


def test_a_node_that_has_left_the_group_stays_stopped_if_its_deletion_fails() -> None:
    """It is deleted after the rollout, in which the others have dropped it as a VRRP peer: both would be master."""

    async def test(sequence: NodeSequence, group: FakeGroup) -> None:
        await sequence.begin_removal("a")
        await sequence.cancel_removal("a")
        assert group.calls == ["retire a"]

    _run(test)


def test_a_node_that_cannot_be_created_again_stays_in_service() -> None:
    async def test(sequence: NodeSequence, group: FakeGroup) -> None:
        group.refusals = 1
        with pytest.raises(SwitchoverError):
            await sequence.begin_removal("a", replaced=True)
        assert group.calls == ["check a"]

    _run(test)


def test_a_node_without_its_attached_resources_is_not_put_back() -> None:
    async def test(sequence: NodeSequence, group: FakeGroup) -> None:
        await sequence.begin_removal("a", replaced=True)
        sequence.record_detached("a")
        await sequence.cancel_removal("a")
        assert group.calls == ["check a", "retire a"]

    _run(test)


def test_a_node_that_stays_in_the_group_is_demoted_once() -> None:
    async def test(sequence: NodeSequence, group: FakeGroup) -> None:
        await sequence.begin_demotion("a")  # of two HAVIP attachments
        await sequence.begin_demotion("a")
        assert group.calls == ["demote a"]

    _run(test)


def test_destroy_does_not_switch_over() -> None:
    async def test(sequence: NodeSequence, group: FakeGroup) -> None:
        sequence.declare("a")
        sequence.declare("b")
        await asyncio.gather(sequence.begin_removal("a"), sequence.begin_removal("b"))
        assert group.calls == []

    _run(test)


def test_a_node_removed_from_the_settings_is_retired() -> None:
    async def test(sequence: NodeSequence, group: FakeGroup) -> None:
        sequence.declare("a")
        sequence.declare("b")
        await sequence.begin_removal("c")
        assert group.calls == ["retire c"]

    _run(test)


async def _is_free(sequence: NodeSequence) -> bool:
    try:
        await asyncio.wait_for(sequence.begin_change("x"), 0.01)
    except TimeoutError:
        return False
    return True
