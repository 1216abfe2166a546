"""Who owns a lock, and whether that process still lives, as far as this host can tell."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any


def this_process() -> dict[str, Any]:
    """Who takes a lock: enough to tell later, from the same host, whether that process still lives."""
    return {
        "user": os.environ.get("USER", str(os.getuid())),
        "host": socket.gethostname(),
        "boot": _boot_id(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
    }


def is_dead(owner: dict[str, Any]) -> bool:
    """Did this very host start that process, and is it gone? What cannot be told from here is not dead."""
    if owner.get("host") != socket.gethostname() or not owner.get("boot"):
        return False
    if owner["boot"] != _boot_id():
        return True
    return _started(owner["pid"]) != owner.get("started")


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """A process's start time in clock ticks: a number that its successor under the same id does not have."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
