"""What a killed `pulumi` leaves behind in a state that is kept in a directory.

- Its lock (pulumi's backend/diy/lock.go): .pulumi/locks/organization/<project>/<stack>/<id>.json with the owner's
  process id, host name and the time of locking.
- Half of a sidecar: each file is replaced atomically, but the <file>.attrs beside it (checksum and content type, by
  gocloud.dev's fileblob) is not. Pulumi then fails with "failed to load checkpoint: EOF", although the state is whole.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ValidationError

# The time of a process's start is rounded, and the clock may have been corrected meanwhile.
_TOLERANCE_S = 5


class Lock(BaseModel):
    """Who locked a stack, and when."""

    pid: int
    username: str
    hostname: str
    timestamp: datetime


def owner_lives(lock: Lock) -> bool:
    """Whether the process that took the lock may still run. Unknown counts as yes."""
    if lock.hostname != socket.gethostname():
        return True
    try:
        os.kill(lock.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        state, *_, ticks = Path(f"/proc/{lock.pid}/stat").read_text().rpartition(")")[2].split()[:20]
        boot = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    except OSError:  # it has just ended, or this system has no /proc
        return True
    if state in {"Z", "X"}:  # ended, but its parent has not waited for it yet
        return False
    if boot is None:
        return True
    started = datetime.fromtimestamp(int(boot[1]) + int(ticks) / os.sysconf("SC_CLK_TCK"), UTC)
    # A process that started after the lock was taken has the process id of its dead owner.
    return (started - lock.timestamp).total_seconds() <= _TOLERANCE_S


def release_dead_locks(
    backend_url: str, project: str, stack: str, lives: Callable[[Lock], bool] = owner_lives
) -> list[Lock]:
    """Remove the locks whose owner is known to have ended; returns them. Locks of other backends are left alone."""
    released: list[Lock] = []
    for file in _lock_files(backend_url, project, stack):
        try:
            lock = Lock.model_validate_json(file.read_text())
        except (OSError, ValidationError):
            continue  # released meanwhile, or being written
        if not lives(lock):
            file.unlink(missing_ok=True)
            released.append(lock)
    return released


def remove_half_written_files(backend_url: str, project: str, stack: str) -> None:
    """Remove broken sidecars and temporary files of the stack. Does nothing while a lock of it is left."""
    base = _base(backend_url)
    if base is None or any(_lock_files(backend_url, project, stack)):
        return
    for file in (base / ".pulumi").rglob("*.attrs"):
        if _is_half(file):
            file.unlink(missing_ok=True)
    for file in (base / ".pulumi" / "stacks" / project).glob(f"{stack}.json*.tmp"):
        file.unlink(missing_ok=True)


def _is_half(file: Path) -> bool:
    try:
        json.loads(file.read_text())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


def _base(backend_url: str) -> Path | None:
    """The directory of a backend; None for another kind of backend."""
    url = urlsplit(backend_url)
    return Path(unquote(url.netloc + url.path)).expanduser() if url.scheme == "file" else None


def _lock_files(backend_url: str, project: str, stack: str) -> Iterator[Path]:
    if base := _base(backend_url):
        yield from (base / ".pulumi" / "locks" / "organization" / project / stack).glob("*.json")
