"""One machine: its directory, its processes, its disks.

<state>/machines/<instance id>/
  spec.json user-data     its specification at creation
  disk.img                its system disk (ext4: upper and work directories of the overlay on the image)
  root/ disk/             mount points, used in the runner's private mount namespace
  console.log exit        console output; exit code of nspawn
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import string
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from localcloud.errors import MachineError
from localcloud.infrastructure import Disk, Interface, MachineSpec, Subnet
from localcloud.machines import disks, processes, runner
from localcloud.machines.cgroups import Cgroup, spread_cores
from localcloud.machines.inside import ENVIRONMENT, command_inside
from localcloud.machines.paths import Paths
from localcloud.machines.seed import DISKS_FILE, DISKS_SCRIPT, meminfo, write_seed

_CONSOLE_BYTES = 64 * 1024
_START_TIMEOUT_S = 20.0
_SHUTDOWN_TIMEOUT_S = 20.0
_ASK_AGAIN_S = 0.5
_MOUNTS_GO_S = 10.0  # after the last process has ended
_IN_USE_S = 0.3  # a process may keep a disk open indefinitely after the disk was unplugged
_TAKE_DISKS = f"mkdir -p $(dirname /{DISKS_FILE}) && cat >/{DISKS_FILE}"
_SIGNAL_POWER_OFF = signal.SIGRTMIN + 4  # systemd: start poweroff.target
_SPEC: TypeAdapter[MachineSpec] = TypeAdapter(MachineSpec)


class Machine:
    """Not thread-safe: `LinuxInfrastructure` holds a lock for each machine."""

    def __init__(self, spec: MachineSpec, paths: Paths) -> None:
        self.spec = spec
        self.instance_id = spec.instance_id
        self._paths = paths
        self.directory = paths.machines / spec.instance_id
        self.cgroup = Cgroup(f"{paths.cgroup}/{spec.instance_id}")
        self._name = f"lc-{paths.cloud}-{spec.instance_id}"
        self._init: int | None = None

    @classmethod
    def resume(cls, directory: Path, paths: Paths) -> Machine | None:
        """Load the machine that an earlier process left in this directory; None if it was never created."""
        try:
            text = (directory / "spec.json").read_bytes()
        except OSError:
            return None
        data = (directory / "user-data").read_bytes() if (directory / "user-data").exists() else b""
        spec = _SPEC.validate_json(text)
        return cls(replace(spec, user_data=data), paths)

    def init_pid(self) -> int | None:
        """The host's process id of the machine's PID 1, or None if the machine is not running."""
        if self._init is None or not runner.is_init(self._init, self.cgroup):
            self._init = runner.find_init(self.cgroup)
        return self._init

    def is_running(self) -> bool:
        return self.init_pid() is not None

    def find_runner(self) -> int | None:
        """Process id of the machine's runner, regardless of who started it, or None if it is not running."""
        return runner.find_runner(self.cgroup, self._name)

    def root(self) -> Path:
        """Open the machine's root directory as seen from the host.

        Raises MachineError if the machine is not running.
        """
        pid = self.init_pid()
        if pid is None:
            raise MachineError(f"{self.spec.name} ({self.instance_id}) is not running; start it first")
        return Path(f"/proc/{pid}/root")

    def prepare(self) -> None:
        """Write the machine's directory; create its system disk if it does not exist."""
        for name in ("root", "disk"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        user_data = self.directory / "user-data"
        user_data.touch(mode=0o600)
        user_data.write_bytes(self.spec.user_data)
        self._write_spec()
        (self.directory / "meminfo").write_text(meminfo(self.spec.memory_mib))
        (self.directory / "exit").unlink(missing_ok=True)
        disk = self.directory / disks.SYSTEM_DISK
        if disk.exists():
            disks.grow_system_disk(disk, self.spec.system_disk.size_gib)
            return
        write_seed(self.directory / "seed", self.spec.hostname)
        # Under a temporary name until complete, so that a killed start never leaves a partial disk under the final
        # name.
        fresh = self.directory / "disk.new"
        disks.create_system_disk(fresh, self.spec.system_disk.size_gib)
        fresh.rename(disk)

    def start(self, layers: list[Path], interface: Interface, subnet: Subnet) -> int:
        """Boot; return the runner's process id once PID 1 runs. Raises MachineError with nspawn's output."""
        self._trim_console()
        # Kill leftovers of an earlier run, such as the host's end of a command that was running when PID 1 was killed.
        self.cgroup.kill()
        self.cgroup.create()
        cores = spread_cores(self.instance_id, self.spec.cpu)
        self.cgroup.limit(cpus=self.spec.cpu, memory_bytes=self.spec.memory_mib * 1024**2, cpu_list=cores)
        self.cgroup.restrict_devices()
        self._connect_disks()
        began = (self.directory / "console.log").stat().st_size if (self.directory / "console.log").exists() else 0
        pid = runner.start(
            runner.Launch(
                spec=self.spec,
                directory=self.directory,
                namespace=Path(f"/run/netns/lc-{self._paths.cloud}-{self.instance_id}"),
                lower=layers,
                cgroup=self.cgroup,
                machine_name=self._name,
                address=f"{interface.address}/{subnet.cidr.prefixlen}",
                gateway=str(subnet.gateway),
            )
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self.is_running():
            ended = not processes.is_alive(pid)
            if ended or time.monotonic() > deadline:
                output = (self.directory / "console.log").read_bytes()[began:].decode(errors="replace").strip()
                self.kill()
                raise MachineError(f"{self.spec.name} ({self.instance_id}) did not start: {output or 'no output'}")
            time.sleep(0.005)
        return pid

    def await_runner(self) -> None:
        """Wait for a runner that a killed daemon left while it was starting the machine.

        Raises MachineError if the runner neither starts the machine nor ends.
        """
        deadline = time.monotonic() + _START_TIMEOUT_S
        while runner.is_present(self.directory) and not self.is_running():
            if time.monotonic() > deadline:
                raise MachineError(
                    f"{self.spec.name} ({self.instance_id}): the runner of an earlier start is still active"
                )
            time.sleep(0.005)

    def shut_down(self) -> None:
        """Request a power-off, and cut the power after the time limit."""
        pid = self.init_pid()
        if pid is None:
            return
        self.cgroup.freeze(frozen=False)
        deadline = time.monotonic() + _SHUTDOWN_TIMEOUT_S
        asked = 0.0
        while self.cgroup.pids() and time.monotonic() < deadline:
            if time.monotonic() - asked > _ASK_AGAIN_S:
                # A systemd instance that has just begun to boot does not react yet.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, _SIGNAL_POWER_OFF)
                asked = time.monotonic()
            self._reap()
            time.sleep(0.01)
        self.kill()

    def kill(self) -> None:
        """Cut the power: all processes end immediately, and the mounts disappear with the last process."""
        pid = self.init_pid()
        self.cgroup.freeze(frozen=False)
        if pid is not None:
            # The kernel kills all other processes with PID 1; killing nspawn would leave the machine running.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.cgroup.kill()
        self._reap()
        self.cgroup.remove()
        disks.detach_loops(self.directory)
        for disk in self.spec.data_disks:
            disks.release(self._disk_path(disk.disk_id), _MOUNTS_GO_S)
        self._init = None

    def remove(self) -> None:
        """Delete the system disk and all other files of the machine; data disks are kept."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def attach(self, disk: Disk) -> None:
        """Make the disk available to the machine as /dev/vdb, vdc ... and by its id, now and at every boot."""
        if disk.disk_id not in {each.disk_id for each in self.spec.data_disks}:
            self.spec = replace(self.spec, data_disks=(*self.spec.data_disks, disk))
            self._write_spec()
        pid = self.init_pid()
        if pid is None:
            return
        self._list_disks_inside(pid, f"; sh /{DISKS_SCRIPT}")

    def detach(self, disk_id: str) -> None:
        """Detach the disk: unmount its file systems inside first; where they are in use, further access fails with I/O
        errors.
        """
        if disk_id not in {each.disk_id for each in self.spec.data_disks}:
            return
        device = disks.loop_devices(self._paths.disks).get(self._disk_path(disk_id))
        self.spec = replace(
            self.spec, data_disks=tuple(each for each in self.spec.data_disks if each.disk_id != disk_id)
        )
        pid = self.init_pid()
        if pid is not None:
            if device is not None:
                self._unplug(pid, disk_id, device)
            self._list_disks_inside(pid)
        disks.release(self._disk_path(disk_id), _IN_USE_S)
        # Last, so that a call that was killed earlier is repeated completely.
        self._write_spec()

    def _unplug(self, pid: int, disk_id: str, device: str) -> None:
        node = (
            f"link=/dev/disk/by-id/virtio-{disk_id}; [ -L $link ] || exit 0; node=$(readlink -f $link); "
            'release() { while umount $1 "$node" 2>/dev/null; do :; done; }; '
        )
        self._inside(pid, f"{node} release")
        disks.pull(pid, device)
        self._inside(pid, f'{node} release --lazy; rm -f "$node" $link')
        self.cgroup.allow_device(*disks.device_numbers(device), allowed=False)

    def _list_disks_inside(self, pid: int, then: str = "") -> None:
        """Connect the disks, and give the running machine the current list."""
        self._connect_disks()
        self._inside(pid, _TAKE_DISKS + then, (self.directory / "disks").read_text())

    def _connect_disks(self) -> None:
        """Attach a loop device to each data disk, and write the list from which the machine creates its device nodes.

        The machine's /dev is new at every boot, also at a reboot from inside while no daemon runs.
        """
        known = self._disk_names() if self.is_running() else {}
        kept = {disk.disk_id: known[disk.disk_id] for disk in self.spec.data_disks if disk.disk_id in known}
        free = (name for letter in string.ascii_lowercase[1:] if (name := f"vd{letter}") not in kept.values())
        lines: list[str] = []
        for disk in self.spec.data_disks:
            path = self._disk_path(disk.disk_id)
            disks.ensure_data_disk(path, disk.size_gib)
            major, minor = disks.device_numbers(disks.attach_loop(path))
            self.cgroup.allow_device(major, minor)
            lines.append(f"{disk.disk_id} {kept.get(disk.disk_id) or next(free)} {major} {minor}\n")
        (self.directory / "disks").write_text("".join(lines))

    def _disk_names(self) -> dict[str, str]:
        """Device names of the disks on the machine, valid until its next boot."""
        with contextlib.suppress(FileNotFoundError):
            rows = [line.split() for line in (self.directory / "disks").read_text().splitlines()]
            return {row[0]: row[1] for row in rows}
        return {}

    def _disk_path(self, disk_id: str) -> Path:
        return self._paths.disks / f"{disk_id}.img"

    def _write_spec(self) -> None:
        # In a separate file: user data can be any bytes, and may contain secrets.
        partial = self.directory / "spec.new"
        partial.write_bytes(_SPEC.dump_json(replace(self.spec, user_data=b""), indent=1))
        partial.rename(self.directory / "spec.json")

    def console(self) -> str:
        """Return the last 64 KiB of the console log."""
        try:
            with (self.directory / "console.log").open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - _CONSOLE_BYTES))
                return log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _inside(self, pid: int, script: str, text: str = "") -> str:
        command = command_inside(pid, self.cgroup.directories(), ["sh", "-c", script])
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=ENVIRONMENT)
        if done.returncode:
            raise MachineError(
                f"{self.spec.name} ({self.instance_id}): {script!r} exited with {done.returncode}: {done.stderr}"
            )
        return done.stdout

    def _trim_console(self) -> None:
        text = self.console()
        if text:
            (self.directory / "console.log").write_text(text)

    def _reap(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            runner.reap(int((self.directory / "runner.pid").read_text()))
