"""Control groups that appear and disappear during an operation: of other machines, and of systemd inside."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localcloud.machines.cgroups import Cgroup

pytestmark = pytest.mark.root

_CLOUD = f"localcloud/t{os.getpid()}g"
_TIMES = 200


@contextmanager
def _meanwhile(action: Callable[[], None]) -> Generator[None]:
    """Run the function repeatedly in parallel with the block; its errors fail the test."""
    ended = threading.Event()
    problems: list[Exception] = []

    def repeat() -> None:
        while not ended.is_set() and not problems:
            try:
                action()
            except Exception as problem:  # noqa: BLE001 - raised below
                problems.append(problem)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert problems == []


def test_groups_are_created_while_the_last_other_machine_removes_the_clouds_group() -> None:
    ann, bob = Cgroup(f"{_CLOUD}/ins-ann"), Cgroup(f"{_CLOUD}/ins-bob")

    def create_and_remove() -> None:
        bob.create()
        bob.limit(cpus=1, memory_bytes=64 * 1024**2, cpu_list="0")
        bob.remove()

    with _meanwhile(create_and_remove):
        for _ in range(_TIMES):
            ann.create()
            assert all(directory.is_dir() for directory in ann.directories())
            ann.limit(cpus=1, memory_bytes=64 * 1024**2, cpu_list="0")
            ann.remove()
    assert not any(directory.parent.exists() for directory in ann.directories())


def test_machines_are_not_delayed_by_other_processes_of_the_host() -> None:
    """Without a larger share all machines together count as one process of the host."""
    machine = Cgroup(f"{_CLOUD}3/ins-ann")
    machine.create()
    try:
        for group in (Cgroup("localcloud"), Cgroup(f"{_CLOUD}3"), machine):
            files = [each / name for each in group.directories() for name in ("cpu.shares", "cpu.weight")]
            shares = {file.name: int(file.read_text()) for file in files if file.exists()}
            assert shares in ({"cpu.shares": 4 * 1024}, {"cpu.weight": 4 * 100}), (group, shares)
    finally:
        machine.remove()


def test_a_machine_is_inspected_and_removed_while_systemd_inside_removes_its_groups() -> None:
    machine = Cgroup(f"{_CLOUD}2/ins-ann")

    def inside(make: Callable[[Path], None], order: int) -> None:
        for directory in machine.directories():
            for group in ("payload", "payload/system.slice", "payload/system.slice/tmp.mount")[::order]:
                try:
                    make(directory / group)
                except OSError:
                    break  # the other thread was faster, which this test provokes

    def create_and_remove() -> None:
        inside(lambda path: path.mkdir(exist_ok=True), 1)
        inside(Path.rmdir, -1)

    with _meanwhile(create_and_remove):
        for number in range(_TIMES):
            machine.create()
            assert machine.pids() == []
            machine.freeze(frozen=False)
            assert not machine.frozen()
            machine.kill()
            if number % 4 == 0:
                machine.remove()
    machine.remove()
    assert not any(directory.exists() for directory in machine.directories())


def test_a_removed_group_has_no_process_is_not_frozen_and_can_be_thawed() -> None:
    gone = Cgroup(f"{_CLOUD}3/ins-none")
    gone.freeze(frozen=False)
    gone.kill()
    gone.remove()
    assert (gone.pids(), gone.frozen(), gone.memory_bytes(), gone.write_throttled()) == ([], False, 0, False)
