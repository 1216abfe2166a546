"""One machine: its directory, its processes, its disks.

<state>/machines/<instance id>/
  spec.json user-data     what it was born with
  disk.img                its system disk (ext4: upper and work of the overlay on the image)
  root/ disk/             mount points, used in the runner's own mount namespace
  console.log exit        what it printed; what nspawn ended with
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from localcloud.errors import MachineError
from localcloud.fabric import names
from localcloud.machines import disks, runner
from localcloud.machines.cgroups import Cgroup
from localcloud.machines.enter import ENVIRONMENT, words
from localcloud.machines.paths import Paths
from localcloud.world import Interface, MachineSpec, Subnet

_CONSOLE_BYTES = 64 * 1024
_START_TIMEOUT_S = 20.0
_SHUTDOWN_TIMEOUT_S = 20.0
_SIGNAL_POWER_OFF = signal.SIGRTMIN + 4  # systemd: start poweroff.target
# nspawn mounts nothing below /proc, so the machine does it itself, early.
_MEMINFO_UNIT = """\
[Unit]
Description=The memory that this machine's type has
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mount --bind /etc/meminfo /proc/meminfo
"""
_SPEC: TypeAdapter[MachineSpec] = TypeAdapter(MachineSpec)


class Machine:
    """Not thread-safe: `LinuxWorld` lets the calls for one machine take turns."""

    def __init__(self, spec: MachineSpec, paths: Paths) -> None:
        self.spec = spec
        self.instance_id = spec.instance_id
        self._paths = paths
        self.directory = paths.machines / spec.instance_id
        self.cgroup = Cgroup(f"{paths.cgroup}/{spec.instance_id}")
        self._init: int | None = None

    @classmethod
    def resume(cls, directory: Path, paths: Paths) -> Machine | None:
        """The machine that an earlier process has left in this directory; None when it was never born."""
        try:
            text = (directory / "spec.json").read_bytes()
        except OSError:
            return None
        data = (directory / "user-data").read_bytes() if (directory / "user-data").exists() else b""
        spec = _SPEC.validate_json(text)
        return cls(replace(spec, user_data=data), paths)

    def update(self, spec: MachineSpec) -> None:
        self.spec = spec

    def init_pid(self) -> int | None:
        """The host's number of the machine's PID 1, or None when it does not run."""
        if self._init is None or not _is_init(self._init, self.cgroup):
            self._init = runner.find_init(self.cgroup)
        return self._init

    def is_running(self) -> bool:
        return self.init_pid() is not None

    def runner_pid(self) -> int:
        return int((self.directory / "runner.pid").read_text())

    def root(self) -> Path:
        """The machine's file system as seen from here. Raises MachineError when it does not run."""
        pid = self.init_pid()
        if pid is None:
            message = f"{self.spec.name} ({self.instance_id}) does not run; start it first"
            raise MachineError(message)
        return Path(f"/proc/{pid}/root")

    def prepare(self) -> None:
        """Its directory, written anew; its system disk, made once."""
        for name in ("root", "disk"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        user_data = self.directory / "user-data"
        user_data.touch(mode=0o600)
        user_data.write_bytes(self.spec.user_data)
        # Beside the rest: user data are bytes of any kind, and may hold secrets.
        (self.directory / "spec.json").write_bytes(_SPEC.dump_json(replace(self.spec, user_data=b""), indent=1))
        (self.directory / "meminfo").write_text(_meminfo(self.spec.memory_mib))
        (self.directory / "exit").unlink(missing_ok=True)
        disk = self.directory / "disk.img"
        if disk.exists():
            disks.grow_system_disk(disk, self.spec.system_disk.size_gib)
            return
        seed = self.directory / "seed/etc"
        seed.mkdir(parents=True, exist_ok=True)
        servers = "".join(f"nameserver {address}\n" for address in names.NAME_SERVERS)
        (seed / "resolv.conf").write_text(servers)
        (seed / "hostname").write_text(f"{self.spec.hostname}\n")
        (seed / "hosts").write_text(
            f"127.0.0.1 localhost\n127.0.1.1 {self.spec.hostname}\n::1 localhost ip6-localhost ip6-loopback\n"
        )
        unit = seed / "systemd/system/meminfo.service"
        (unit.parent / "sysinit.target.wants").mkdir(parents=True)
        unit.write_text(_MEMINFO_UNIT)
        (unit.parent / "sysinit.target.wants" / unit.name).symlink_to(f"../{unit.name}")
        # Under another name until it is whole: a killed start leaves no half-made disk to be taken for one.
        fresh = self.directory / "disk.new"
        disks.create_system_disk(fresh, self.spec.system_disk.size_gib)
        fresh.rename(disk)

    def start(self, layers: list[Path], interface: Interface, subnet: Subnet) -> int:
        """Boot; returns the runner's process id once PID 1 runs. Raises MachineError with what nspawn said."""
        self._trim_console()
        for leftover in self.cgroup.pids():
            message = f"{self.instance_id}: process {leftover} of an earlier run is still there"
            raise MachineError(message)
        self.cgroup.create()
        self.cgroup.limit(
            cpus=self.spec.cpu, memory_bytes=self.spec.memory_mib * 1024**2, cpu_list=self._cpu_list(self.spec.cpu)
        )
        self.cgroup.restrict_devices()
        began = (self.directory / "console.log").stat().st_size if (self.directory / "console.log").exists() else 0
        pid = runner.start(
            runner.Launch(
                spec=self.spec,
                directory=self.directory,
                namespace=Path(f"/run/netns/lc-{self._paths.cloud}-{self.instance_id}"),
                lower=layers,
                cgroup=self.cgroup,
                machine_name=f"lc-{self._paths.cloud}-{self.instance_id}",
                address=f"{interface.address}/{subnet.cidr.prefixlen}",
                gateway=str(subnet.gateway),
            )
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self.is_running():
            ended = not _alive(pid)
            if ended or time.monotonic() > deadline:
                said = (self.directory / "console.log").read_bytes()[began:].decode(errors="replace").strip()
                self.kill()
                message = f"{self.spec.name} ({self.instance_id}) did not start: {said or 'nothing was said'}"
                raise MachineError(message)
            time.sleep(0.005)
        for disk in self.spec.data_disks:
            path = self._paths.disks / f"{disk.disk_id}.img"
            disks.ensure_data_disk(path, disk.size_gib)
            self.attach(disk.disk_id, path)
        return pid

    def shut_down(self) -> None:
        """Ask it to power off, and cut the power when it does not."""
        pid = self.init_pid()
        if pid is None:
            return
        self.cgroup.freeze(frozen=False)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, _SIGNAL_POWER_OFF)
        deadline = time.monotonic() + _SHUTDOWN_TIMEOUT_S
        while self.cgroup.pids() and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.01)
        self.kill()

    def kill(self) -> None:
        """Cut the power: every process of it ends now, and its mounts go with the last."""
        pid = self.init_pid()
        self.cgroup.freeze(frozen=False)
        if pid is not None:
            # PID 1 takes the rest with it; killing nspawn would leave the machine running.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.cgroup.kill()
        self._reap()
        self.cgroup.remove()
        disks.detach_loops(self.directory)
        for disk in self.spec.data_disks:
            self._release(disk.disk_id)
        self._init = None

    def remove(self) -> None:
        """Forget its system disk and everything else of it; data disks stay."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def attach(self, disk_id: str, path: Path) -> None:
        """Show the disk to a running machine as /dev/vdb, vdc ... and by its id."""
        pid = self.init_pid()
        if pid is None:
            return
        device = disks.attach_loop(path)
        major, minor = disks.device_numbers(device)
        self.cgroup.allow_device(major, minor)
        script = (
            f"mkdir -p /dev/disk/by-id; [ -e /dev/disk/by-id/virtio-{disk_id} ] && exit 0; "
            f"for letter in b c d e f g h i j k l m n o p q r s t u v; do [ -e /dev/vd$letter ] || break; done; "
            f"mknod -m 660 /dev/vd$letter b {major} {minor} && ln -s ../../vd$letter /dev/disk/by-id/virtio-{disk_id}"
        )
        self._inside(pid, script)

    def detach(self, disk_id: str) -> None:
        """Take it away, as pulling a disk does: what is mounted of it inside is unmounted first."""
        pid = self.init_pid()
        device = disks.loop_devices(self._paths.disks).get(self._paths.disks / f"{disk_id}.img")
        if device is None:
            return
        if pid is not None:
            script = (
                f"link=/dev/disk/by-id/virtio-{disk_id}; [ -L $link ] || exit 0; node=$(readlink -f $link); "
                f'while umount "$node" 2>/dev/null; do :; done; rm -f "$node" $link; echo mine'
            )
            if "mine" not in self._inside(pid, script):
                return
            major, minor = disks.device_numbers(device)
            self.cgroup.allow_device(major, minor, allowed=False)
        self._release(disk_id)

    def console(self) -> str:
        """The last 64 KiB of the console."""
        try:
            with (self.directory / "console.log").open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - _CONSOLE_BYTES))
                return log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _release(self, disk_id: str) -> None:
        path = self._paths.disks / f"{disk_id}.img"
        device = disks.loop_devices(self._paths.disks).get(path)
        if device is not None:
            subprocess.run(["losetup", "--detach", device], check=False, capture_output=True)

    def _inside(self, pid: int, script: str) -> str:
        command = words(pid, self.cgroup, ["sh", "-c", script])
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
        if done.returncode:
            message = f"{self.spec.name} ({self.instance_id}): {script!r} ended with {done.returncode}: {done.stderr}"
            raise MachineError(message)
        return done.stdout

    def _cpu_list(self, cpus: int) -> str:
        """As many of the host's cores as its type has (`nproc` inside says so), spread over the host."""
        usable = sorted(os.sched_getaffinity(0))
        if cpus >= len(usable):
            return ",".join(str(core) for core in usable)
        first = sum(self.instance_id.encode()) % len(usable)
        return ",".join(str(usable[(first + number) % len(usable)]) for number in range(cpus))

    def _trim_console(self) -> None:
        text = self.console()
        if text:
            (self.directory / "console.log").write_text(text)

    def _reap(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            runner.reap(self.runner_pid())


def _is_init(pid: int, cgroup: Cgroup) -> bool:
    """Still that process: numbers are used again."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
    return "State:\tZ" not in status and f"/{cgroup.path}" in groups


def _alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _meminfo(memory_mib: int) -> str:
    """There is no lxcfs here: without this, `free` inside would show the host's memory."""
    total = memory_mib * 1024
    rows = {
        "MemTotal": total,
        "MemFree": total * 3 // 4,
        "MemAvailable": total * 7 // 8,
        "Buffers": 0,
        "Cached": total // 8,
        "SwapTotal": 0,
        "SwapFree": 0,
        "Shmem": 0,
        "Slab": 0,
        "SReclaimable": 0,
        "SUnreclaim": 0,
    }
    return "".join(f"{name + ':':<16}{value:>8} kB\n" for name, value in rows.items())
