"""Up and down again and again: nothing piles up on the host, of what has a name and of what has none."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from .command import NOTHING, LocalCloud, held_mib, host_network

pytestmark = pytest.mark.root

# A machine at rest holds 30 MiB and more: of one left behind in each of ten cycles, this sees the half.
_SLACK_MIB = 150
# What has no name any more is still counted by the kernel: a namespace that some socket or mount keeps alive, a control
# group that some page keeps. A cycle makes ten of the first and thirty of the second; other clouds may run beside it.
_SLACK_NAMESPACES = 30
_SLACK_GROUPS = 100


@pytest.fixture
def cloud() -> Generator[LocalCloud]:
    made = LocalCloud(f"y{os.getpid()}")
    yield made
    made.down()
    assert made.left() == NOTHING


def _nameless() -> dict[str, float]:
    """What the host holds, whoever it belongs to, and more of than before is left over."""
    slabs = [line.split() for line in Path("/proc/slabinfo").read_text().splitlines()]
    groups = [line.split() for line in Path("/proc/cgroups").read_text().splitlines()[1:]]
    return {
        "MiB": held_mib(),
        "namespaces": sum(int(row[1]) for row in slabs if row[0] == "net_namespace"),
        "groups": sum(int(row[2]) for row in groups if row[1] != "0"),
    }


def _too_much(before: dict[str, float]) -> dict[str, float]:
    slack = {"MiB": _SLACK_MIB, "namespaces": _SLACK_NAMESPACES, "groups": _SLACK_GROUPS}
    return {what: now - before[what] for what, now in _nameless().items() if now - before[what] > slack[what]}


def _cycle(cloud: LocalCloud, count: int) -> None:
    loops = len(list(Path("/sys/block").glob("loop*/loop")))
    network = host_network()
    before = _nameless()
    for number in range(count):
        cloud.up()
        if number % 2 == 0:
            cloud.pair(count=2 if number % 10 == 0 else 1)
        if number % 5 == 2 and number % 2 == 0:
            cloud.must("fault", "node-0", "pause")  # what is frozen does not die of a signal alone
        if number % 5 == 4:
            cloud.kill_everything()
        cloud.down()
        assert cloud.left() == NOTHING, f"after cycle {number + 1}"
    assert host_network() == network
    assert len(list(Path("/sys/block").glob("loop*/loop"))) <= loops + 2  # other tests may run beside this one
    # The kernel takes network namespaces and control groups apart in its own time.
    deadline = time.monotonic() + 30
    while grown := _too_much(before):
        assert time.monotonic() < deadline, f"so much more is held after {count} cycles: {grown}"
        time.sleep(0.5)
    print(f"{count} cycles: {before} before, {_nameless()} after")


def test_ten_cycles_of_up_and_down_leave_nothing(cloud: LocalCloud) -> None:
    _cycle(cloud, 10)


@pytest.mark.long
def test_fifty_cycles_of_up_and_down_leave_nothing(cloud: LocalCloud) -> None:
    _cycle(cloud, 50)
