"""Faults that an operator injects into a machine; `heal` reverts them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from localcloud.errors import MachineError
from localcloud.machines import healing, processes
from localcloud.machines.inside import ENVIRONMENT, command_inside, open_file
from localcloud.machines.linux_infrastructure import LinuxInfrastructure
from localcloud.machines.machine import Machine

_MIB = 1024**2
_STRESS_TIMEOUT_S = 5.0


# Each function returns a description of what it did.
Do = Callable[[LinuxInfrastructure, Machine, list[str]], str]


@dataclass(frozen=True, slots=True)
class Report:
    """What was done, when (seconds since the epoch), and how long it took."""

    node: str
    instance: str
    fault: str
    did: str
    at: float
    took_ms: float


class MachineFaults:
    """Injects faults into the machines of one infrastructure."""

    def __init__(self, infrastructure: LinuxInfrastructure) -> None:
        self._infrastructure = infrastructure

    def inject(self, node: str, fault: str, arguments: list[str]) -> Report:
        """Inject a fault. Raises MachineError for an unknown node or fault, and for a fault that cannot be injected."""
        kind = _FAULTS.get(fault)
        if kind is None:
            raise MachineError(f"unknown fault {fault!r}; known: {', '.join(KINDS)}")
        machine = self._infrastructure.get(node)
        at = time.time()
        began = time.perf_counter()
        did = self._do(kind, machine, arguments)
        took_ms = (time.perf_counter() - began) * 1000
        return Report(machine.spec.hostname, machine.instance_id, fault, did, at, round(took_ms, 1))

    def _do(self, kind: Do, machine: Machine, arguments: list[str]) -> str:
        """Run one fault. Raises MachineError also if the machine ended meanwhile or did not react in time."""
        try:
            return kind(self._infrastructure, machine, arguments)
        except TimeoutError as error:
            raise MachineError(f"{machine.spec.hostname}: {error}") from error
        except OSError as error:
            if machine.is_running():
                raise
            raise MachineError(
                f"{machine.spec.hostname} ({machine.instance_id}) is not running any more ({error})"
            ) from error


def _link_down(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    _expect(arguments, 0, "link-down")
    port = infrastructure.set_link(machine, up=False)
    return f"port {port} is down: no frame passes in either direction"


def _link_up(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    _expect(arguments, 0, "link-up")
    return f"port {infrastructure.set_link(machine, up=True)} is up"


def _isolate_from(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    _expect(arguments, 1, "isolate-from PEER")
    peer = infrastructure.get(arguments[0])
    if peer is machine:
        raise MachineError(f"{machine.spec.hostname} cannot be isolated from itself")
    infrastructure.network.isolate(machine.spec.interface, peer.spec.interface)
    return f"no packet passes between it and {peer.spec.hostname}; all other instances are reachable"


def _pause(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    del infrastructure
    _expect(arguments, 0, "pause")
    machine.root()  # raises MachineError for a machine that is not running
    machine.cgroup.freeze(frozen=True)
    return f"{len(machine.cgroup.pids())} processes are frozen (the kernel still completes TCP handshakes)"


def _resume(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    del infrastructure
    _expect(arguments, 0, "resume")
    machine.root()
    if not machine.cgroup.frozen():
        return "it was not paused"
    machine.cgroup.freeze(frozen=False)
    return f"{len(machine.cgroup.pids())} processes continue"


def _power_off(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    _expect(arguments, 0, "power-off")
    machine.root()
    count = len(machine.cgroup.pids())
    infrastructure.stop_machine(machine.instance_id, hard=True)
    return f"port down, then {count} processes killed together; the API was not informed"


def _power_on(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    _expect(arguments, 0, "power-on")
    if machine.is_running():
        return "it was already on"
    infrastructure.power_on(machine)
    return f"PID 1 runs (as {machine.init_pid()} on the host)"


def _kill(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    _expect(arguments, 2, "kill PROCESS SIGNAL")
    process, name = arguments
    number = _signal(name)
    machine.root()
    # The groups also contain host processes that restart the machine and watch for its end.
    inside = [pid for pid in machine.cgroup.pids() if processes.is_inside(pid)]
    found = [pid for pid in inside if processes.name_of(pid) == process[:15]]
    if not found:
        running = sorted({processes.name_of(pid) for pid in inside} - {""})
        raise MachineError(f"no process {process!r} on {machine.spec.hostname}; running: {', '.join(running)}")
    units = {unit for pid in found if (unit := processes.unit_of(pid))}
    healing.remember_killed(infrastructure, machine, units)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    return f"{number.name} to {len(found)} processes {process}: {', '.join(map(str, found))} on the host"


def _fill_disk(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    del infrastructure
    _expect(arguments, 0, "fill-disk")
    try:
        filler = open_file(machine.root(), healing.FILLER)
    except OSError as error:
        machine.root()  # the machine may have just ended
        raise MachineError(
            f"/{healing.FILLER} cannot be created on {machine.spec.hostname}: {error.strerror}"
        ) from error
    try:
        space = os.fstatvfs(filler)
        left = space.f_bavail * space.f_frsize
        if left:
            _allocate(filler, os.fstat(filler).st_size, left)
    finally:
        os.close(filler)
    return f"{left / _MIB:.0f} MiB written to /{healing.FILLER}: the system disk is full"


def _cpu_stress(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    del infrastructure
    loops = _number(arguments, machine.spec.cpu * 2, "cpu-stress [LOOPS]")
    machine.root()
    pid = machine.init_pid()
    assert pid is not None
    for _ in range(loops):
        process = subprocess.Popen(
            command_inside(pid, machine.cgroup.directories(), ["sh", "-c", "while :; do :; done", healing.STRESS]),
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _reap_later(process)
    deadline = time.monotonic() + _STRESS_TIMEOUT_S
    while sum(healing.is_stress(pid) for pid in machine.cgroup.pids()) < 2 * loops and time.monotonic() < deadline:
        time.sleep(0.005)  # each loop is two processes: the one inside, and the one that waits for it
    return f"{loops} busy loops run inside, limited to {machine.spec.cpu} cores"


def _slow_disk(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    del infrastructure
    rate = _number(arguments, 1, "slow-disk [MIB_PER_SECOND]")
    machine.root()
    machine.cgroup.write_throttle(*healing.system_disk_numbers(machine), rate * _MIB)
    return f"synchronous and direct writes to its system disk are limited to {rate} MiB/s"


def _heal(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    _expect(arguments, 0, "heal")
    healer = healing.Healing(infrastructure, machine)
    healer.heal()
    return ", ".join(healer.done) or "no fault was active"


_FAULTS: dict[str, Do] = {
    "link-down": _link_down,
    "link-up": _link_up,
    "isolate-from": _isolate_from,
    "heal": _heal,
    "pause": _pause,
    "resume": _resume,
    "power-off": _power_off,
    "power-on": _power_on,
    "kill": _kill,
    "fill-disk": _fill_disk,
    "cpu-stress": _cpu_stress,
    "slow-disk": _slow_disk,
}
KINDS = tuple(_FAULTS)


def _expect(arguments: list[str], count: int, usage: str) -> None:
    if len(arguments) != count:
        raise MachineError(f"usage: localcloud fault NODE {usage} (got: {' '.join(arguments) or 'no argument'})")


def _number(arguments: list[str], default: int, usage: str) -> int:
    if not arguments:
        return default
    if len(arguments) > 1 or not arguments[0].isdigit() or int(arguments[0]) == 0:
        _expect(arguments, -1, usage)
    return int(arguments[0])


def _signal(name: str) -> signal.Signals:
    """Parse `KILL`, `SIGKILL` or `9`."""
    try:
        return signal.Signals(int(name)) if name.isdigit() else signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"]
    except (KeyError, ValueError):
        raise MachineError(f"unknown signal {name!r}; use KILL, TERM, STOP, CONT, HUP or a number") from None


def _allocate(descriptor: int, start: int, size: int) -> None:
    """Allocate as much of `size` as possible: the file system keeps some blocks for internal use."""
    step = size
    while step >= 4096:  # noqa: PLR2004 - one block
        try:
            os.posix_fallocate(descriptor, start, step)
        except OSError:
            step //= 2
        else:
            start += step


def _reap_later(process: subprocess.Popen[bytes]) -> None:
    """Reap the process when it ends: its result is not used, but a dead child must not remain a zombie."""
    threading.Thread(target=process.wait, name="stress", daemon=True).start()
