"""Processes of machines, read from the host's /proc. A process that ended meanwhile is reported as absent."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

# In /proc/PID/stat, fields 9 and 31 (linux/sched.h; proc(5)).
_PF_EXITING = 0x4
_SIGKILL_PENDING = 1 << (signal.SIGKILL - 1)


def is_alive(pid: int) -> bool:
    """False for a process that has ended, is ending, or was killed: a killed PID 1 takes time to end its namespace."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return not (fields[0] in "ZX" or int(fields[6]) & _PF_EXITING or int(fields[28]) & _SIGKILL_PENDING)


def is_inside(pid: int) -> bool:
    """Whether the process belongs to the machine and not to the host processes that manage it."""
    return len(pids_of(pid)) > 1


def pids_of(pid: int) -> list[str]:
    """The process's ids in all its PID namespaces, the host's first."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        return next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return []


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def unit_of(pid: int) -> str:
    """The systemd unit of a process, from its path in systemd's hierarchy."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            for part in reversed(line.split("/")):
                if part.endswith(".service"):
                    return part
    return ""


def is_stopped(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "\nState:\tT" in Path(f"/proc/{pid}/status").read_text()
    return False


def has_argument(pid: int, argument: str) -> bool:
    with contextlib.suppress(OSError):
        return argument.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False
