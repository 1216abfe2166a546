"""Machines under stress: out of memory, out of processes, concurrent power operations."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from network.lab import PLACES, Lab, wait_until

from localcloud.errors import MachineError
from localcloud.infrastructure import Disk
from localcloud.machines import disks
from localcloud.machines.linux_infrastructure import LinuxInfrastructure
from localcloud.machines.machine_faults import MachineFaults

pytestmark = pytest.mark.root

ANN, CAT = PLACES["ann"], PLACES["cat"]
DATA = Disk("disk-0000000e", 1)


@pytest.mark.parametrize("place", ["/dev/shm", "/run", "/tmp"])
def test_a_file_system_in_memory_is_full_before_the_memory_is(lab: Lab, place: str) -> None:
    before = lab.infrastructure.get("ann").init_pid()
    done = lab.run("ann", "sh", "-c", f"dd if=/dev/zero of={place}/filler bs=1M count=4096; rm -f {place}/filler")
    assert "No space left on device" in done.stderr
    assert lab.must("ann", "systemctl", "is-active", "ssh") == "active\n"
    assert lab.infrastructure.get("ann").init_pid() == before


def test_out_of_memory_kills_only_processes_of_the_same_machine(lab: Lab) -> None:
    before = {name: lab.infrastructure.get(name).init_pid() for name in ("ann", "bob")}
    hungry = "import os\nfor _ in range(4): os.fork()\nx = []\nwhile True: x.append(bytes(10**7))"
    lab.run("ann", "timeout", "8", "python3", "-c", hungry, timeout_s=40)
    lab.run("ann", "pkill", "-9", "python3")
    wait_until(lambda: lab.run("ann", "systemctl", "is-active", "ssh").stdout == "active\n", "ssh runs", 30)
    assert {name: lab.infrastructure.get(name).init_pid() for name in ("ann", "bob")} == before
    used = max(int((path / "memory.max_usage_in_bytes").read_text()) for path in _memory_groups(lab))
    # The kernel lets killed processes exceed the limit slightly, so that they can end (memcontrol.c: try_charge).
    assert used <= 1.02 * 2048 * 1024**2


def _memory_groups(lab: Lab) -> list[Path]:
    return [path for path in lab.cgroup("ann").directories() if (path / "memory.max_usage_in_bytes").exists()]


def test_a_fork_bomb_is_stopped_by_the_process_limit(lab: Lab) -> None:
    limits = [path / "pids.max" for path in lab.cgroup("ann").directories() if (path / "pids.max").exists()]
    assert [limit.read_text() for limit in limits] == ["16384\n"]


@pytest.mark.parametrize("place", ["/etc/localcloud", "/var/tmp"])
def test_symbolic_links_on_a_machine_cannot_reach_the_hosts_files(lab: Lab, tmp_path: Path, place: str) -> None:
    """The host writes to both files: the list of disks at every boot, and the file that fills a disk."""
    faults = MachineFaults(lab.infrastructure)
    before = lab.infrastructure.get("ann").init_pid()
    lab.must("ann", "sh", "-c", f"rm -rf {place} && ln -s {tmp_path} {place}")
    try:
        with contextlib.suppress(MachineError):
            faults.inject("ann", "fill-disk", [])
        assert list(tmp_path.iterdir()) == []
        with contextlib.suppress(MachineError):
            faults.inject("ann", "heal", [])
        with contextlib.suppress(MachineError):
            lab.infrastructure.attach_disk(DATA, ANN.instance_id)
        lab.run("ann", "systemctl", "reboot", "--force")
        wait_until(lambda: lab.infrastructure.get("ann").init_pid() not in {None, before}, "a new PID 1 runs", 30)
        wait_until(lambda: lab.run("ann", "systemctl", "is-active", "ssh").stdout == "active\n", "ssh runs", 30)
        assert list(tmp_path.iterdir()) == []
    finally:
        lab.infrastructure.destroy_disk(DATA.disk_id)
        lab.infrastructure.reset_machine(lab.spec("ann"))
        lab.wait_for_boot("ann")


def _concurrently(*actions: Callable[[], object]) -> list[BaseException]:
    problems: list[BaseException] = []

    def run(action: Callable[[], object]) -> None:
        try:
            action()
        except BaseException as problem:  # noqa: BLE001 - raised in the test
            problems.append(problem)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


def test_a_machine_that_is_starting_never_exposes_the_hosts_files(lab: Lab) -> None:
    """Nspawn's child is already number 1 while it still sees the host: a fault would then affect the host's disk."""
    for _ in range(5):
        lab.infrastructure.stop_machine(ANN.instance_id, hard=True)
        lab.infrastructure.start_machine(lab.spec("ann"))
        assert (lab.infrastructure.get("ann").root() / "etc/hostname").read_text() == "ann\n"


def test_two_quick_stops_and_starts_end_with_one_running_machine(lab: Lab) -> None:
    for hard in (True, False):
        for _ in range(2):
            lab.infrastructure.stop_machine(ANN.instance_id, hard=hard)
            lab.infrastructure.start_machine(lab.spec("ann"))
    stop, start = (
        lambda: lab.infrastructure.stop_machine(ANN.instance_id, hard=True),
        lambda: lab.infrastructure.start_machine(lab.spec("ann")),
    )
    assert _concurrently(stop, start, stop, start) == []
    lab.infrastructure.start_machine(lab.spec("ann"))
    lab.wait_for_boot("ann")
    # nspawn's children have its name until they become the machine's processes.
    wait_until(lambda: sum(map(_is_nspawn, lab.cgroup("ann").pids())) == 1, "one machine runs", 10)


def _is_nspawn(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "systemd-nspawn\n"
    except FileNotFoundError:
        return False


def test_a_start_waits_for_the_runner_of_a_killed_daemon(lab: Lab) -> None:
    """Otherwise two systems would run on one disk."""
    lab.infrastructure.stop_machine(ANN.instance_id, hard=True)
    ended: list[BaseException] = []
    with (lab.infrastructure.get("ann").directory / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        starting = threading.Thread(
            target=lambda: ended.extend(_concurrently(lambda: lab.infrastructure.start_machine(lab.spec("ann"))))
        )
        starting.start()
        starting.join(timeout=0.5)
        assert starting.is_alive()
        assert ANN.instance_id not in lab.infrastructure.running()
    starting.join(timeout=30)
    assert ended == []
    lab.wait_for_boot("ann")


def test_a_machine_whose_start_was_not_recorded_is_watched_by_the_next_daemon(lab: Lab) -> None:
    (lab.infrastructure.get("ann").directory / "runner.pid").unlink()
    lab.infrastructure.close()
    lab.infrastructure = LinuxInfrastructure(lab.paths)
    lab.infrastructure.listen(lab)
    lab.infrastructure.open()
    lab.configure()
    lab.stopped.clear()
    lab.run("ann", "systemctl", "poweroff")
    wait_until(lambda: lab.stopped == [ANN.instance_id], "the new infrastructure notices the end of a machine", 30)


def test_a_machine_whose_pid_1_is_killed_is_off_and_can_be_started(lab: Lab) -> None:
    lab.stopped.clear()
    pid = lab.infrastructure.get("ann").init_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: lab.stopped == [ANN.instance_id], "the event is reported", 10)
    assert lab.infrastructure.running() == {PLACES["bob"].instance_id}
    lab.infrastructure.start_machine(lab.spec("ann"))
    lab.wait_for_boot("ann")


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.2, 0.6, 1.2])
def test_a_machine_terminated_during_boot_leaves_nothing(lab: Lab, delay_s: float) -> None:
    loops = disks.loop_devices(lab.paths.state)
    starting = threading.Thread(target=lab.infrastructure.start_machine, args=(lab.spec("cat"),))
    starting.start()
    threading.Event().wait(delay_s)
    lab.infrastructure.destroy_machine(CAT.instance_id)
    starting.join()
    lab.infrastructure.destroy_machine(CAT.instance_id)  # the thread may have run second
    assert CAT.instance_id not in lab.infrastructure.running()
    assert not (lab.paths.machines / CAT.instance_id).exists()
    assert disks.loop_devices(lab.paths.state) == loops
    assert not list(Path("/sys/fs/cgroup").glob(f"*/localcloud/{lab.cloud}/{CAT.instance_id}"))


def test_a_smaller_type_keeps_files_and_disk_size(lab: Lab) -> None:
    lab.must("ann", "sh", "-c", "echo kept >/root/kept; sync")
    lab.infrastructure.stop_machine(ANN.instance_id, hard=False)
    smaller = replace(lab.spec("ann"), cpu=1, memory_mib=1024, system_disk=Disk("disk-00000001", 5))
    lab.infrastructure.start_machine(smaller)
    wait_until(lambda: lab.run("ann", "systemctl", "is-active", "ssh").stdout == "active\n", "ssh runs", 30)
    assert lab.must("ann", "cat", "/root/kept") == "kept\n"
    assert lab.must("ann", "nproc") == "1\n"
    assert lab.must("ann", "df", "-BG", "--output=size", "/").split()[-1] == "10G"
    done = lab.run("ann", "python3", "-c", "x = b'x' * (1300 << 20)", timeout_s=60)
    assert done.returncode != 0


def test_an_interrupted_disk_growth_completes_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    disks.create_system_disk(path, 1)
    os.truncate(path, 2 * 1024**3)  # the point at which the daemon was killed
    disks.grow_system_disk(path, 2)
    assert disks.file_system_bytes(path) > 1.9 * 1024**3
