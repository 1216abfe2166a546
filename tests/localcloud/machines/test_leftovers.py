"""Up and down again and again: nothing piles up on the host, of what has a name and of what has none."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from .command import NOTHING, LocalCloud, host_network

pytestmark = pytest.mark.root

# Memory that is nobody's cache: of processes, of files in memory, of the kernel itself.
_HELD = {"AnonPages", "Shmem", "SUnreclaim", "KernelStack", "PageTables", "Percpu"}
# A machine at rest holds 30 MiB and more: of one left behind in each of ten cycles, this sees the half.
_SLACK_MIB = 150


@pytest.fixture
def cloud() -> Generator[LocalCloud]:
    made = LocalCloud(f"y{os.getpid()}")
    yield made
    made.down()
    assert made.left() == NOTHING


def held_mib() -> float:
    """Memory of this host that would not be given back when it is asked for."""
    rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(row[1]) for row in rows if row[0].rstrip(":") in _HELD) / 1024


def _cycle(cloud: LocalCloud, count: int) -> None:
    loops = len(list(Path("/sys/block").glob("loop*/loop")))
    network = host_network()
    held = held_mib()
    for number in range(count):
        cloud.up()
        if number % 2 == 0:
            cloud.pair(count=2 if number % 10 == 0 else 1)
        if number % 5 == 4:
            cloud.kill_everything()
        cloud.down()
        assert cloud.left() == NOTHING, f"after cycle {number + 1}"
    assert host_network() == network
    assert len(list(Path("/sys/block").glob("loop*/loop"))) <= loops + 2  # other tests may run beside this one
    # The kernel takes network namespaces and control groups apart in its own time.
    deadline = time.monotonic() + 30
    while (grown := held_mib() - held) > _SLACK_MIB:
        assert time.monotonic() < deadline, f"{grown:.0f} MiB more are held after {count} cycles"
        time.sleep(0.5)
    print(f"{count} cycles: {grown:+.0f} MiB held")


def test_ten_cycles_of_up_and_down_leave_nothing(cloud: LocalCloud) -> None:
    _cycle(cloud, 10)


@pytest.mark.long
def test_fifty_cycles_of_up_and_down_leave_nothing(cloud: LocalCloud) -> None:
    _cycle(cloud, 50)
