"""Repeated up and down: no named or unnamed resources accumulate on the host."""

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

# Permitted growth. An idle machine holds at least 30 MiB, so half a machine left behind in each of 10 cycles is
# detected. Resources without a name exist only briefly while they are released.
_SLACK = {"MiB": 150.0, "namespaces": 5, "loops": 2}
_SLAB = Path("/sys/kernel/slab/net_namespace")


@pytest.fixture
def cloud() -> Generator[LocalCloud]:
    made = LocalCloud(f"y{os.getpid()}")
    yield made
    made.down()
    assert made.left() == NOTHING


def _held() -> dict[str, float]:
    """Host resources without a name: memory, and objects that only the kernel counts."""
    return {
        "MiB": held_mib(),
        "namespaces": _network_namespaces() - _found_namespaces(),
        "loops": sum("(deleted)" in _text(path) for path in Path("/sys/block").glob("loop*/loop/backing_file")),
    }


def _network_namespaces() -> int:
    """All network namespaces, including those that only a socket or a mount of a process keeps."""
    (_SLAB / "shrink").write_text("1")  # otherwise the objects cached per CPU are counted too
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
        return ""  # released just now


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
            cloud.must("fault", "node-0", "pause")  # a frozen process does not end on a signal
        if number % 5 == 4:
            cloud.kill_everything()
        cloud.down()
        assert cloud.left() == NOTHING, f"after cycle {number + 1}"
    assert host_network() == network
    # The kernel releases network namespaces and control groups asynchronously.
    deadline = time.monotonic() + 30
    while grown := _too_much(before):
        assert time.monotonic() < deadline, f"growth after {count} cycles: {grown}"
        time.sleep(0.5)
    print(f"{count} cycles: {before} before, {_held()} after")


def test_ten_cycles_of_up_and_down_leave_nothing(cloud: LocalCloud) -> None:
    _cycle(cloud, 10)


def test_down_succeeds_after_another_program_has_mounted_the_namespace_directory(cloud: LocalCloud) -> None:
    """In a private /run: the mount of `ip netns add` remains there until the host restarts."""
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
