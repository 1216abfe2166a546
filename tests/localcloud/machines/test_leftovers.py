"""Up and down again and again: nothing piles up on the host, of what has a name and of what has none."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from .command import NOTHING, LocalCloud, held_mib, host_network

pytestmark = pytest.mark.root

# So much more than before may be held. A machine at rest holds 30 MiB and more: of one left behind in each of 10 cycles
# this sees the half. What no name leads to is there for the moment only in which it is taken apart.
_SLACK = {"MiB": 150.0, "namespaces": 5, "loops": 2}
_SLAB = Path("/sys/kernel/slab/net_namespace")


@pytest.fixture
def cloud() -> Generator[LocalCloud]:
    made = LocalCloud(f"y{os.getpid()}")
    yield made
    made.down()
    assert made.left() == NOTHING


def _held() -> dict[str, float]:
    """What this host holds that no name leads to: memory, and what the kernel counts and nobody can find."""
    return {
        "MiB": held_mib(),
        "namespaces": _network_namespaces() - _found_namespaces(),
        "loops": sum("(deleted)" in _text(path) for path in Path("/sys/block").glob("loop*/loop/backing_file")),
    }


def _network_namespaces() -> int:
    """All that there are, also those that only a socket or a mount of a process keeps."""
    (_SLAB / "shrink").write_text("1")  # else those that each processor has in store count as well
    return int((_SLAB / "objects").read_text().split()[0])


def _found_namespaces() -> int:
    found = {path.stat().st_ino for path in Path("/run/netns").glob("*") if path.exists()}
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):
            found.add(path.stat().st_ino)
    return len(found)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # taken apart just now


def _too_much(before: dict[str, float]) -> dict[str, float]:
    return {what: now - before[what] for what, now in _held().items() if now - before[what] > _SLACK[what]}


def _cycle(cloud: LocalCloud, count: int) -> None:
    network = host_network()
    before = _held()
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
    # The kernel takes network namespaces and control groups apart in its own time.
    deadline = time.monotonic() + 30
    while grown := _too_much(before):
        assert time.monotonic() < deadline, f"so much more is held after {count} cycles: {grown}"
        time.sleep(0.5)
    print(f"{count} cycles: {before} before, {_held()} after")


def test_ten_cycles_of_up_and_down_leave_nothing(cloud: LocalCloud) -> None:
    _cycle(cloud, 10)


def test_a_cloud_goes_down_where_another_program_has_mounted_the_directory_of_namespaces(cloud: LocalCloud) -> None:
    """In a /run of its own: what `ip netns add` mounts there stays mounted until the host restarts."""
    up, down = (shlex.join(cloud.words(command, "--name", cloud.name)) for command in ("up", "down"))
    script = f"""
        set -e
        mount -t tmpfs tmpfs /run && mount --make-private /run
        {up}; ip netns add other; {up}; {down}
        ls /run/netns
    """
    try:
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False, env=cloud.env()
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-2:] == [f"cloud {cloud.name} is down", "other"]
    finally:
        cloud.kill_everything()


@pytest.mark.long
def test_fifty_cycles_of_up_and_down_leave_nothing(cloud: LocalCloud) -> None:
    _cycle(cloud, 50)
