"""`tandem unlock` on simulated nodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from provisioning_fakes import FakeGroup

from operations.unlock import find_locks, release_locks

LOCK = {"do": "lock", "owner": {"user": "jo", "host": "laptop", "pid": 7}, "ttl_s": 30}


@pytest.fixture
def group(tmp_path: Path) -> FakeGroup:
    return FakeGroup(tmp_path)


def lock(group: FakeGroup, node: str, token: str) -> None:
    group.connect(group.inventory.get(node)).call([LOCK], token=token)


def describe(group: FakeGroup) -> list[str]:
    return [each.describe() for each in find_locks(group.inventory, group.connect)]


def test_the_owner_and_the_age_of_each_lock_are_shown(group: FakeGroup) -> None:
    lock(group, "iam-b", "x")
    group.tick(75)
    group.connect(group.inventory.get("iam-b")).call([{"do": "renew"}], token="x")
    group.tick(5)
    assert describe(group) == [
        "iam-a: not locked",
        "iam-b: held by jo on laptop, process 7, for 80 s, renewed 5 s ago",
    ]


def test_locks_are_released(group: FakeGroup) -> None:
    lock(group, "iam-a", "x")
    lock(group, "iam-b", "x")
    locks = find_locks(group.inventory, group.connect)
    assert release_locks(group.inventory, locks, group.connect) == ("iam-a: unlocked", "iam-b: unlocked")
    assert describe(group) == ["iam-a: not locked", "iam-b: not locked"]


def test_a_lock_that_was_taken_after_the_confirmation_is_not_released(group: FakeGroup) -> None:
    lock(group, "iam-a", "x")
    locks = find_locks(group.inventory, group.connect)
    group.tick(31)
    lock(group, "iam-a", "another operator")
    (line,) = release_locks(group.inventory, locks, group.connect)
    assert line == "iam-a: its lock was released or taken by another owner in the meantime; nothing changed"
    assert "held by jo" in describe(group)[0]


def test_a_node_that_cannot_be_reached_does_not_hide_the_others(group: FakeGroup) -> None:
    lock(group, "iam-b", "x")
    group.unreachable.add("iam-a")
    assert describe(group)[0] == "iam-a: iam-a: no connection"
    assert "held by jo" in describe(group)[1]
