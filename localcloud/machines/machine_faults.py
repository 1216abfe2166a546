"""MachineFaults that a person puts on a machine, each undone by `heal`; each as measured in shared/reference/lab.md, 6.

Undoing looks at what is there, not at what was remembered: it also works after the daemon was killed. Only units whose
processes were killed are written down (in the cloud's run directory), to start them again.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import MachineError
from localcloud.machines import disks, runner
from localcloud.machines.enter import ENVIRONMENT, words
from localcloud.machines.inside_files import open_file, remove_file
from localcloud.machines.machine import Machine
from localcloud.machines.world import LinuxWorld

KINDS = (
    "link-down", "link-up", "isolate-from", "heal", "pause", "resume", "power-off", "power-on", "kill", "fill-disk",
    "cpu-stress", "slow-disk",
)  # fmt: skip
_STRESS = "localcloud-stress"
_FILLER = "var/tmp/.localcloud-filler"
_MIB = 1024**2
_STRESS_TIMEOUT_S = 5.0


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
    """One method for each fault; each returns what it did, in words. `inject` finds it by its name."""

    def __init__(self, world: LinuxWorld) -> None:
        self._world = world
        self._kinds: dict[str, Callable[[Machine, list[str]], str]] = {
            kind: getattr(self, f"_{kind.replace('-', '_')}") for kind in KINDS
        }

    def inject(self, node: str, fault: str, arguments: list[str]) -> Report:
        """Raises MachineError for an unknown node or fault, and for one that cannot be done."""
        kind = self._kinds.get(fault)
        if kind is None:
            message = f"{fault!r} is no fault; known: {', '.join(self._kinds)}"
            raise MachineError(message)
        machine = self._world.get(node)
        at = time.time()
        began = time.perf_counter()
        did = self._do(kind, machine, arguments)
        took_ms = (time.perf_counter() - began) * 1000
        return Report(machine.spec.hostname, machine.instance_id, fault, did, at, round(took_ms, 1))

    def _do(self, kind: Callable[[Machine, list[str]], str], machine: Machine, arguments: list[str]) -> str:
        """Raises MachineError also where the machine ended while it was being done, or would not be done with."""
        try:
            return kind(machine, arguments)
        except TimeoutError as error:
            message = f"{machine.spec.hostname}: {error}"
            raise MachineError(message) from error
        except OSError as error:
            if machine.is_running():
                raise
            message = f"{machine.spec.hostname} ({machine.instance_id}) does not run any more ({error})"
            raise MachineError(message) from error

    # --- network

    def _link_down(self, machine: Machine, arguments: list[str]) -> str:
        _expect(arguments, 0, "link-down")
        port = self._world.set_link(machine, up=False)
        return f"port {port} is down: no frame passes in either direction"

    def _link_up(self, machine: Machine, arguments: list[str]) -> str:
        _expect(arguments, 0, "link-up")
        return f"port {self._world.set_link(machine, up=True)} is up"

    def _isolate_from(self, machine: Machine, arguments: list[str]) -> str:
        _expect(arguments, 1, "isolate-from PEER")
        peer = self._world.get(arguments[0])
        if peer is machine:
            message = f"{machine.spec.hostname} cannot be isolated from itself"
            raise MachineError(message)
        self._world.network.isolate(machine.spec.interface, peer.spec.interface)
        return f"no packet passes between it and {peer.spec.hostname} any more; everybody else is reached"

    # --- the machine as a whole

    def _pause(self, machine: Machine, arguments: list[str]) -> str:
        _expect(arguments, 0, "pause")
        machine.root()  # refuses for a machine that does not run
        machine.cgroup.freeze(frozen=True)
        return f"{len(machine.cgroup.pids())} processes are frozen (the kernel still completes TCP handshakes)"

    def _resume(self, machine: Machine, arguments: list[str]) -> str:
        _expect(arguments, 0, "resume")
        machine.root()
        if not machine.cgroup.frozen():
            return "it was not paused"
        machine.cgroup.freeze(frozen=False)
        return f"{len(machine.cgroup.pids())} processes go on"

    def _power_off(self, machine: Machine, arguments: list[str]) -> str:
        _expect(arguments, 0, "power-off")
        machine.root()
        count = len(machine.cgroup.pids())
        self._world.stop_machine(machine.instance_id, hard=True)
        return f"port down, then {count} processes killed at once; the API was told nothing"

    def _power_on(self, machine: Machine, arguments: list[str]) -> str:
        _expect(arguments, 0, "power-on")
        if machine.is_running():
            return "it was on already"
        self._world.power_on(machine)
        return f"PID 1 runs (as {machine.init_pid()} on the host)"

    # --- processes, disk, processor

    def _kill(self, machine: Machine, arguments: list[str]) -> str:
        _expect(arguments, 2, "kill PROCESS SIGNAL")
        process, name = arguments
        number = _signal(name)
        machine.root()
        # Its groups have processes of this host's too, which start it again and know when it ends.
        inside = [pid for pid in machine.cgroup.pids() if runner.is_inside(pid)]
        found = [pid for pid in inside if _name(pid) == process[:15]]
        if not found:
            running = sorted({_name(pid) for pid in inside} - {""})
            message = f"no process {process!r} on {machine.spec.hostname}; there are: {', '.join(running)}"
            raise MachineError(message)
        self._remember(machine, {unit for pid in found if (unit := _unit(pid))})
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return f"{number.name} to {len(found)} processes {process}: {', '.join(map(str, found))} on the host"

    def _fill_disk(self, machine: Machine, arguments: list[str]) -> str:
        _expect(arguments, 0, "fill-disk")
        try:
            filler = open_file(machine.root(), _FILLER)
        except OSError as error:
            machine.root()  # it may have ended just now
            message = f"/{_FILLER} cannot be made on {machine.spec.hostname}: {error.strerror}"
            raise MachineError(message) from error
        try:
            space = os.fstatvfs(filler)
            left = space.f_bavail * space.f_frsize
            if left:
                _allocate(filler, os.fstat(filler).st_size, left)
        finally:
            os.close(filler)
        return f"{left / _MIB:.0f} MiB taken in /{_FILLER}: the system disk is full"

    def _cpu_stress(self, machine: Machine, arguments: list[str]) -> str:
        loops = _number(arguments, machine.spec.cpu * 2, "cpu-stress [LOOPS]")
        machine.root()
        pid = machine.init_pid()
        assert pid is not None
        for _ in range(loops):
            process = subprocess.Popen(
                words(pid, machine.cgroup, ["sh", "-c", "while :; do :; done", _STRESS]),
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            _reap_later(process)
        deadline = time.monotonic() + _STRESS_TIMEOUT_S
        while sum(_is_stress(pid) for pid in machine.cgroup.pids()) < 2 * loops and time.monotonic() < deadline:
            time.sleep(0.005)  # each is two processes: the one inside, and the one that waits for it
        return f"{loops} busy loops run inside, within its limit of {machine.spec.cpu} cores"

    def _slow_disk(self, machine: Machine, arguments: list[str]) -> str:
        rate = _number(arguments, 1, "slow-disk [MIB_PER_SECOND]")
        machine.root()
        machine.cgroup.write_throttle(*self._disk_numbers(machine), rate * _MIB)
        return f"synced and direct writes to its system disk are held to {rate} MiB/s"

    def _disk_numbers(self, machine: Machine) -> tuple[int, int]:
        device = disks.loop_devices(machine.directory).get(machine.directory / disks.SYSTEM_DISK)
        if device is None:
            message = f"{machine.spec.hostname}: its system disk has no loop device; does it run?"
            raise MachineError(message)
        return disks.device_numbers(device)

    # --- undo

    def _heal(self, machine: Machine, arguments: list[str]) -> str:
        _expect(arguments, 0, "heal")
        done: list[str] = []
        try:
            self._heal_now(machine, done)
        except (MachineError, OSError):
            if machine.is_running() or "powered on" in done:
                raise
            # It was ending when this began, as its first process had been killed: now it is off.
            self._heal_now(machine, done)
        return ", ".join(done) or "nothing was wrong with it"

    def _heal_now(self, machine: Machine, done: list[str]) -> None:
        if machine.cgroup.frozen():
            machine.cgroup.freeze(frozen=False)
            done.append("resumed")
        if not machine.is_running():
            self._world.power_on(machine)
            done.append("powered on")
        if self._world.network.rejoin(machine.spec.interface):
            done.append("no longer isolated")
        if self._world.link_is_down(machine):
            self._world.set_link(machine, up=True)
            done.append("link up")
        self._heal_inside(machine, done)

    def _heal_inside(self, machine: Machine, done: list[str]) -> None:
        with contextlib.suppress(FileNotFoundError):
            remove_file(machine.root(), _FILLER)
            done.append("disk space freed")
        stressed = [pid for pid in machine.cgroup.pids() if _is_stress(pid)]
        for pid in stressed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if stressed:
            done.append("busy loops ended")
        if machine.cgroup.write_throttled():
            machine.cgroup.write_throttle(*self._disk_numbers(machine), 0)
            done.append("disk at full speed")
        stopped = [pid for pid in machine.cgroup.pids() if _is_stopped(pid)]
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        if stopped:
            done.append(f"{len(stopped)} stopped processes go on")
        done += self._restart_units(machine)

    def _restart_units(self, machine: Machine) -> list[str]:
        """Units whose processes were killed here, and that nothing has started again."""
        path = self._memory(machine)
        units = _read(path)
        path.unlink(missing_ok=True)
        pid = machine.init_pid()
        started: list[str] = []
        if pid is None:
            return started
        for unit in units:
            active = subprocess.run(
                words(pid, machine.cgroup, ["systemctl", "is-active", "--quiet", unit]),
                check=False,
                capture_output=True,
            )
            if active.returncode:
                script = f"systemctl reset-failed {unit}; systemctl start {unit}"
                subprocess.run(words(pid, machine.cgroup, ["sh", "-c", script]), check=False, capture_output=True)
                started.append(f"{unit} started")
        return started

    def _remember(self, machine: Machine, units: set[str]) -> None:
        path = self._memory(machine)
        path.write_text(json.dumps(sorted(units | set(_read(path)))))

    def _memory(self, machine: Machine) -> Path:
        return self._world.paths.run / f"{machine.instance_id}.killed.json"


def _expect(arguments: list[str], count: int, usage: str) -> None:
    if len(arguments) != count:
        message = f"usage: localcloud fault NODE {usage} (seen: {' '.join(arguments) or 'nothing more'})"
        raise MachineError(message)


def _number(arguments: list[str], default: int, usage: str) -> int:
    if not arguments:
        return default
    if len(arguments) > 1 or not arguments[0].isdigit() or int(arguments[0]) == 0:
        _expect(arguments, -1, usage)
    return int(arguments[0])


def _signal(name: str) -> signal.Signals:
    """`KILL`, `SIGKILL` or `9`."""
    try:
        return signal.Signals(int(name)) if name.isdigit() else signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"]
    except (KeyError, ValueError):
        message = f"{name!r} is no signal; try KILL, TERM, STOP, CONT, HUP or a number"
        raise MachineError(message) from None


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _unit(pid: int) -> str:
    """The service that a process belongs to, from its path in systemd's hierarchy."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            for part in reversed(line.split("/")):
                if part.endswith(".service"):
                    return part
    return ""


def _is_stress(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return _STRESS.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


def _is_stopped(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "\nState:\tT" in Path(f"/proc/{pid}/status").read_text()
    return False


def _read(path: Path) -> list[str]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return []


def _allocate(descriptor: int, start: int, size: int) -> None:
    """As much of it as there is: the file system keeps some blocks for its own bookkeeping."""
    step = size
    while step >= 4096:  # noqa: PLR2004 - one block
        try:
            os.posix_fallocate(descriptor, start, step)
        except OSError:
            step //= 2
        else:
            start += step


def _reap_later(process: subprocess.Popen[bytes]) -> None:
    """Nobody waits for a busy loop; but a dead child must not stay a zombie either."""
    threading.Thread(target=process.wait, name="stress", daemon=True).start()
