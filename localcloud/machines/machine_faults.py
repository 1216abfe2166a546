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


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault. `do` returns a description of what it did; parameters in brackets are optional positive integers."""

    do: Callable[[LinuxInfrastructure, Machine, list[str]], str]
    parameters: str = ""
    needs_running: bool = False

    def accepts(self, arguments: list[str]) -> bool:
        if self.parameters.startswith("["):
            return len(arguments) <= 1 and all(word.isdecimal() and int(word) for word in arguments)
        return len(arguments) == len(self.parameters.split())


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
    def __init__(self, infrastructure: LinuxInfrastructure) -> None:
        self._infrastructure = infrastructure

    def inject(self, node: str, fault: str, arguments: list[str]) -> Report:
        """Inject a fault. Raises MachineError for an unknown node or fault, and for a fault that cannot be injected."""
        kind = _FAULTS.get(fault)
        if kind is None:
            raise MachineError(f"unknown fault {fault!r}; known: {', '.join(KINDS)}")
        machine = self._infrastructure.get(node)
        if not kind.accepts(arguments):
            usage, given = f"{fault} {kind.parameters}".rstrip(), " ".join(arguments) or "no argument"
            raise MachineError(f"usage: localcloud fault NODE {usage} (got: {given})")
        at = time.time()
        began = time.perf_counter()
        did = self._do(kind, machine, arguments)
        took_ms = (time.perf_counter() - began) * 1000
        return Report(machine.spec.hostname, machine.instance_id, fault, did, at, round(took_ms, 1))

    def _do(self, kind: Fault, machine: Machine, arguments: list[str]) -> str:
        """Run one fault. Raises MachineError also if the machine ended meanwhile or did not react in time."""
        try:
            if kind.needs_running:
                machine.root()
            return kind.do(self._infrastructure, machine, arguments)
        except TimeoutError as error:
            raise MachineError(f"{machine.spec.hostname}: {error}") from error
        except OSError as error:
            if machine.is_running():
                raise
            raise MachineError(
                f"{machine.spec.hostname} ({machine.instance_id}) is not running any more ({error})"
            ) from error


def _link_down(infrastructure: LinuxInfrastructure, machine: Machine, _arguments: list[str]) -> str:
    port = infrastructure.set_link(machine, up=False)
    return f"port {port} is down: no frame passes in either direction"


def _link_up(infrastructure: LinuxInfrastructure, machine: Machine, _arguments: list[str]) -> str:
    return f"port {infrastructure.set_link(machine, up=True)} is up"


def _isolate_from(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    peer = infrastructure.get(arguments[0])
    if peer is machine:
        raise MachineError(f"{machine.spec.hostname} cannot be isolated from itself")
    infrastructure.network.isolate(machine.spec.interface, peer.spec.interface)
    return f"no packet passes between it and {peer.spec.hostname}; all other instances are reachable"


def _pause(_infrastructure: LinuxInfrastructure, machine: Machine, _arguments: list[str]) -> str:
    machine.cgroup.freeze(frozen=True)
    return f"{len(machine.cgroup.pids())} processes are frozen (the kernel still completes TCP handshakes)"


def _resume(_infrastructure: LinuxInfrastructure, machine: Machine, _arguments: list[str]) -> str:
    if not machine.cgroup.frozen():
        return "it was not paused"
    machine.cgroup.freeze(frozen=False)
    return f"{len(machine.cgroup.pids())} processes continue"


def _power_off(infrastructure: LinuxInfrastructure, machine: Machine, _arguments: list[str]) -> str:
    count = len(machine.cgroup.pids())
    infrastructure.stop_machine(machine.instance_id, hard=True)
    return f"port down, then {count} processes killed together; the API was not informed"


def _power_on(infrastructure: LinuxInfrastructure, machine: Machine, _arguments: list[str]) -> str:
    if machine.is_running():
        return "it was already on"
    infrastructure.power_on(machine)
    return f"PID 1 runs (as {machine.init_pid()} on the host)"


def _kill(infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    process, name = arguments
    number = _signal(name)
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


def _fill_disk(_infrastructure: LinuxInfrastructure, machine: Machine, _arguments: list[str]) -> str:
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


def _cpu_stress(_infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    loops = int(arguments[0]) if arguments else machine.spec.cpu * 2
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


def _slow_disk(_infrastructure: LinuxInfrastructure, machine: Machine, arguments: list[str]) -> str:
    rate = int(arguments[0]) if arguments else 1
    machine.cgroup.write_throttle(*healing.system_disk_numbers(machine), rate * _MIB)
    return f"synchronous and direct writes to its system disk are limited to {rate} MiB/s"


def _heal(infrastructure: LinuxInfrastructure, machine: Machine, _arguments: list[str]) -> str:
    healer = healing.Healing(infrastructure, machine)
    healer.heal()
    return ", ".join(healer.done) or "no fault was active"


_FAULTS = {
    "link-down": Fault(_link_down),
    "link-up": Fault(_link_up),
    "isolate-from": Fault(_isolate_from, "PEER"),
    "heal": Fault(_heal),
    "pause": Fault(_pause, needs_running=True),
    "resume": Fault(_resume, needs_running=True),
    "power-off": Fault(_power_off, needs_running=True),
    "power-on": Fault(_power_on),
    "kill": Fault(_kill, "PROCESS SIGNAL", needs_running=True),
    "fill-disk": Fault(_fill_disk, needs_running=True),
    "cpu-stress": Fault(_cpu_stress, "[LOOPS]", needs_running=True),
    "slow-disk": Fault(_slow_disk, "[MIB_PER_SECOND]", needs_running=True),
}
KINDS = tuple(_FAULTS)


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
