"""Revert the faults of a machine.

The faults are read from the machine's state, not from a record, so healing also works after the daemon was killed. Only
the units whose processes were killed are recorded (in the cloud's run directory), so that they can be restarted.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

from localcloud.errors import MachineError
from localcloud.machines import disks, processes
from localcloud.machines.inside import command_inside, remove_file
from localcloud.machines.linux_infrastructure import LinuxInfrastructure
from localcloud.machines.machine import Machine

STRESS = "localcloud-stress"  # an argument that identifies the busy loops
FILLER = "var/tmp/.localcloud-filler"  # the file that fills the disk


class Healing:
    """One healing pass over one machine; `done` lists the reverted faults as text."""

    def __init__(self, infrastructure: LinuxInfrastructure, machine: Machine) -> None:
        self._infrastructure = infrastructure
        self._machine = machine
        self.done: list[str] = []

    def heal(self) -> None:
        try:
            self._heal()
        except (MachineError, OSError):
            if self._machine.is_running() or "powered on" in self.done:
                raise
            # Its first process had been killed, and the machine has finished ending since: now it is off.
            self._heal()

    def _heal(self) -> None:
        machine, infrastructure = self._machine, self._infrastructure
        if machine.cgroup.frozen():
            machine.cgroup.freeze(frozen=False)
            self.done.append("resumed")
        if not machine.is_running():
            infrastructure.power_on(machine)
            self.done.append("powered on")
        if infrastructure.network.rejoin(machine.spec.interface):
            self.done.append("no longer isolated")
        if infrastructure.link_is_down(machine):
            infrastructure.set_link(machine, up=True)
            self.done.append("link up")
        self._free_disk()
        self._end_busy_loops()
        self._continue_stopped()
        self._restart_units()

    def _free_disk(self) -> None:
        machine = self._machine
        with contextlib.suppress(FileNotFoundError):
            remove_file(machine.root(), FILLER)
            self.done.append("disk space freed")
        if machine.cgroup.write_throttled():
            machine.cgroup.write_throttle(*system_disk_numbers(machine), 0)
            self.done.append("disk at full speed")

    def _end_busy_loops(self) -> None:
        if self._signal([pid for pid in self._machine.cgroup.pids() if is_stress(pid)], signal.SIGKILL):
            self.done.append("busy loops ended")

    def _continue_stopped(self) -> None:
        stopped = [pid for pid in self._machine.cgroup.pids() if processes.is_stopped(pid)]
        if self._signal(stopped, signal.SIGCONT):
            self.done.append(f"{len(stopped)} stopped processes continue")

    def _signal(self, pids: list[int], number: signal.Signals) -> bool:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return bool(pids)

    def _restart_units(self) -> None:
        """Start the units whose processes a fault killed, unless systemd has restarted them (Restart=on-failure)."""
        path = _killed_units_file(self._infrastructure, self._machine)
        units = _read(path)
        path.unlink(missing_ok=True)
        pid = self._machine.init_pid()
        if pid is None:
            return
        groups = self._machine.cgroup.directories()
        for unit in units:
            is_active = command_inside(pid, groups, ["systemctl", "is-active", "--quiet", unit])
            if subprocess.run(is_active, check=False, capture_output=True).returncode == 0:
                self.done.append(f"{unit} had restarted")
                continue
            script = f"systemctl reset-failed {unit}; systemctl start {unit}"
            subprocess.run(command_inside(pid, groups, ["sh", "-c", script]), check=False, capture_output=True)
            self.done.append(f"{unit} started")


def remember_killed(infrastructure: LinuxInfrastructure, machine: Machine, units: set[str]) -> None:
    path = _killed_units_file(infrastructure, machine)
    path.write_text(json.dumps(sorted(units | set(_read(path)))))


def system_disk_numbers(machine: Machine) -> tuple[int, int]:
    """Return the major and minor number of the system disk's loop device. Raises MachineError if it has none."""
    device = disks.loop_devices(machine.directory).get(machine.directory / disks.SYSTEM_DISK)
    if device is None:
        raise MachineError(f"{machine.spec.hostname}: the system disk has no loop device; is the instance running?")
    return disks.device_numbers(device)


def is_stress(pid: int) -> bool:
    return processes.has_argument(pid, STRESS)


def _killed_units_file(infrastructure: LinuxInfrastructure, machine: Machine) -> Path:
    return infrastructure.paths.run / f"{machine.instance_id}.killed.json"


def _read(path: Path) -> list[str]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return []
