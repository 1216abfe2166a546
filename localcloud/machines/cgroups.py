"""One control group per machine in every hierarchy of this host: cgroup v1, hybrid or v2.

Two nspawn machines that start from one cgroup share `/payload`, and their systemd instances interfere: a unit stopped
in one can stop the unit of the other (measured with systemd 252). Each machine therefore gets a separate group
before its first process starts.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PERIOD_US = 100_000

# Share of the processor of all machines together, relative to one other process of this host (cgroup v1: 1,024 is one
# process; v2: 100). A real machine has its own processors: with the kernel's default, all machines of all clouds count
# as one process, and tests or compilers beside them delay the nodes until virtual IPs move. With ten times as much,
# busy loops on nodes delay the daemon by seconds.
_SHARE = 4

# Errors of the kernel when a group is removed while it is read: no such file, no such device.
_GONE = frozenset({errno.ENOENT, errno.ENODEV})

# Linux limits a machine to as many threads as fill an eighth of its memory with their 16 KiB stacks (fork.c).
_BYTES_PER_PROCESS = 8 * 16 * 1024

# Devices that a machine may open in addition to its own disks: the standard ones, and pseudo-terminals.
_DEVICES = ("c 1:3", "c 1:5", "c 1:7", "c 1:8", "c 1:9", "c 5:0", "c 5:1", "c 5:2", "c 136:*", "c 10:200")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted cgroup tree. `controllers` is empty for v2 and for systemd's named hierarchy."""

    mount: Path
    controllers: frozenset[str]
    unified: bool


def hierarchies() -> tuple[Hierarchy, ...]:
    found: list[Hierarchy] = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        mount = Path(before.split()[4])
        if kind == "cgroup2":
            found.append(Hierarchy(mount, frozenset(), unified=True))
        elif kind == "cgroup":
            found.append(Hierarchy(mount, frozenset(options.split(" ")[-1].split(",")), unified=False))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The groups of one owner (a machine, or a whole cloud), under the same path in every hierarchy."""

    path: str  # e.g. "localcloud/default/ins-1a2b3c4d"

    def directories(self) -> list[Path]:
        return [each.mount / self.path for each in hierarchies()]

    def exists(self) -> bool:
        return any(directory.is_dir() for directory in self.directories())

    def create(self) -> None:
        """Create the group in every hierarchy.

        Removing the last machine of a cloud also removes the parent groups, possibly between two steps of this method;
        the steps are then repeated. Parent groups cannot be removed while this group exists.
        """
        for hierarchy in hierarchies():
            while True:
                try:
                    self._make_in(hierarchy)
                except OSError as error:
                    if error.errno not in _GONE:
                        raise
                else:
                    break

    def _make_in(self, hierarchy: Hierarchy) -> None:
        directory = hierarchy.mount
        for part in self.path.split("/"):
            parent = directory
            directory = directory / part
            if hierarchy.unified:
                _pass_down(parent)
            with contextlib.suppress(FileExistsError):
                directory.mkdir()
            # Also in a group that exists: the process that created it may have been killed.
            if "cpu" in hierarchy.controllers:
                (directory / "cpu.shares").write_text(str(1024 * _SHARE))
            elif (directory / "cpu.weight").exists():
                (directory / "cpu.weight").write_text(str(100 * _SHARE))
            if "cpuset" in hierarchy.controllers:
                # A new cpuset group has no CPUs or memory nodes, and no process can enter it.
                for name in ("cpuset.cpus", "cpuset.mems"):
                    if not (directory / name).read_text().strip():
                        (directory / name).write_text((parent / name).read_text())

    def limit(self, *, cpus: int, memory_bytes: int, cpu_list: str) -> None:
        """Set CPU cores, memory, the cores that the machine sees, and the number of processes."""
        quota = cpus * _PERIOD_US
        self._write("memory", "memory.limit_in_bytes", memory_bytes, unified=("memory.max", memory_bytes))
        self._write("cpu", "cpu.cfs_quota_us", quota, unified=("cpu.max", f"{quota} {_PERIOD_US}"))
        self._write("cpuset", "cpuset.cpus", cpu_list, unified=("cpuset.cpus", cpu_list))
        processes = memory_bytes // _BYTES_PER_PROCESS
        self._write("pids", "pids.max", processes, unified=("pids.max", processes))

    def restrict_devices(self) -> None:
        """Deny access to all other devices: with all capabilities a machine could create a node for the host's disk."""
        for directory in self._of("devices"):
            (directory / "devices.deny").write_text("a")
            (directory / "devices.allow").write_text("c *:* m")
            (directory / "devices.allow").write_text("b *:* m")
            for device in _DEVICES:
                (directory / "devices.allow").write_text(f"{device} rwm")

    def allow_device(self, major: int, minor: int, *, allowed: bool = True) -> None:
        for directory in self._of("devices"):
            (directory / ("devices.allow" if allowed else "devices.deny")).write_text(f"b {major}:{minor} rw")

    def freeze(self, *, frozen: bool, timeout_s: float = 5.0) -> None:
        """Freeze or thaw all processes (thawing a removed group succeeds).

        Raises:
            TimeoutError: some processes did not freeze.
            FileNotFoundError: the group to freeze does not exist.
        """
        if not frozen and not self.exists():
            return
        deadline = time.monotonic() + timeout_s
        expected = "FROZEN" if frozen else "THAWED"
        for directory in self._of("freezer"):
            state = directory / "freezer.state"
            state.write_text(expected)
            while state.read_text().strip() != expected:
                if time.monotonic() > deadline:
                    message = f"{state} is {state.read_text().strip()} after {timeout_s:g} s (expected {expected})"
                    state.write_text("THAWED")  # All or none: a partly frozen machine would continue to run.
                    raise TimeoutError(message)
                time.sleep(0.001)
            return
        for path in self._unified("cgroup.freeze"):
            path.write_text("1" if frozen else "0")

    def frozen(self) -> bool:
        for directory in self._of("freezer"):
            with contextlib.suppress(FileNotFoundError):
                return (directory / "freezer.state").read_text().strip() != "THAWED"
        return False

    def pids(self) -> list[int]:
        """Return all processes of this group and the groups below it, in any hierarchy."""
        found: set[int] = set()
        for directory in self.directories():
            for group in _below(directory):
                with contextlib.suppress(OSError):
                    found |= {int(line) for line in (group / "cgroup.procs").read_text().split()}
        return sorted(found)

    def kill(self, timeout_s: float = 10.0) -> None:
        """Kill all processes until the group is empty. Raises: TimeoutError: with the remaining process ids."""
        deadline = time.monotonic() + timeout_s
        while pids := self.pids():
            self._thaw_all()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise TimeoutError(f"processes {pids} of {self.path} did not end after SIGKILL")
            time.sleep(0.005)

    def _thaw_all(self) -> None:
        """Thaw all groups: a frozen process cannot end, and each subgroup has a separate freezer state (a paused
        machine).
        """
        for directory in self._of("freezer"):
            for group in _below(directory):
                with contextlib.suppress(OSError):
                    (group / "freezer.state").write_text("THAWED")
        for hierarchy in hierarchies():
            for group in _below(hierarchy.mount / self.path) if hierarchy.unified else ():
                with contextlib.suppress(OSError):
                    (group / "cgroup.freeze").write_text("0")

    def remove(self) -> None:
        """Remove the (empty) groups in every hierarchy, and the parent `localcloud` group if it was the last."""
        for hierarchy in hierarchies():
            for group in reversed(list(_below(hierarchy.mount / self.path))):
                with contextlib.suppress(OSError):
                    group.rmdir()
            for parent in list(Path(self.path).parents)[:-1]:
                with contextlib.suppress(OSError):
                    (hierarchy.mount / parent).rmdir()

    def memory_bytes(self) -> int:
        """Resident memory of the processes, without the page cache (which counts in usage_in_bytes)."""
        for directory in self._of("memory"):
            if not directory.is_dir():
                return 0
            for line in (directory / "memory.stat").read_text().splitlines():
                key, _, value = line.partition(" ")
                if key == "total_rss":
                    return int(value)
        for path in self._unified("memory.stat"):
            return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith("anon "))
        return 0

    def write_throttle(self, major: int, minor: int, bytes_per_s: int) -> None:
        """Limit the write rate of a block device; 0 removes the limit."""
        for directory in self._of("blkio"):
            (directory / "blkio.throttle.write_bps_device").write_text(f"{major}:{minor} {bytes_per_s}")
        for path in self._unified("io.max"):
            path.write_text(f"{major}:{minor} wbps={bytes_per_s or 'max'}")

    def write_throttled(self) -> bool:
        for directory in self._of("blkio"):
            with contextlib.suppress(OSError):
                return bool((directory / "blkio.throttle.write_bps_device").read_text().strip())
        return any("wbps=" in path.read_text() for path in self._unified("io.max"))

    def _of(self, controller: str) -> Iterator[Path]:
        for hierarchy in hierarchies():
            if controller in hierarchy.controllers:
                yield hierarchy.mount / self.path

    def _unified(self, name: str) -> Iterator[Path]:
        """The file of that name in cgroup v2, if it exists."""
        for hierarchy in hierarchies():
            path = hierarchy.mount / self.path / name
            if hierarchy.unified and path.exists():
                yield path

    def _write(self, controller: str, name: str, value: object, *, unified: tuple[str, object]) -> None:
        for directory in self._of(controller):
            (directory / name).write_text(str(value))
        for path in self._unified(unified[0]):
            path.write_text(str(unified[1]))


def spread_cores(name: str, cpus: int) -> str:
    """Select as many host cores as the instance type has (`nproc` inside shows them), spread over the host by name."""
    usable = sorted(os.sched_getaffinity(0))
    first = sum(name.encode()) % len(usable) if cpus < len(usable) else 0
    return ",".join(str(usable[(first + number) % len(usable)]) for number in range(min(cpus, len(usable))))


def _below(directory: Path) -> Iterator[Path]:
    """List the directory and every group below it, parents first."""
    # os.walk ignores directories that disappear: systemd inside creates and removes groups all the time.
    for path, _, _ in os.walk(directory):
        yield Path(path)


def _pass_down(parent: Path) -> None:
    """Enable the controllers for child groups: in v2 a child has a controller only if its parent enables it."""
    available = (parent / "cgroup.controllers").read_text().split()
    for controller in {"cpu", "memory", "io", "cpuset", "pids"} & set(available):
        with contextlib.suppress(OSError):
            (parent / "cgroup.subtree_control").write_text(f"+{controller}")
