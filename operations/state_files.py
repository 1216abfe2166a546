"""Removes files that a killed `pulumi` leaves in a backend directory.

- Its lock (pulumi's backend/diy/lock.go): .pulumi/locks/organization/<project>/<stack>/<id>.json with the owner's
  process id, host name and the time of locking.
- A partly written sidecar: files are replaced atomically, but <file>.attrs (checksum and content type, written by
  gocloud.dev's fileblob) is not. Pulumi then fails with "failed to load checkpoint: EOF" although the state is intact.
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

# The start time of a process is rounded, and the clock may have been adjusted since.
_TOLERANCE_S = 5


class Lock(BaseModel):
    """The owner of a stack's lock, and the time of locking."""

    pid: int
    username: str
    hostname: str
    timestamp: datetime


def may_be_running(lock: Lock) -> bool:
    """Whether the owner of the lock may still run. True if that cannot be determined."""
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
    except OSError:  # the process has just ended, or there is no /proc
        return True
    if state in {"Z", "X"}:  # has ended; its parent has not called wait yet
        return False
    if boot is None:
        return True
    started = datetime.fromtimestamp(int(boot[1]) + int(ticks) / os.sysconf("SC_CLK_TCK"), UTC)
    # A process that started after the lock was taken has reused the process id.
    return (started - lock.timestamp).total_seconds() <= _TOLERANCE_S


def release_dead_locks(
    backend_url: str, project: str, stack: str, is_running: Callable[[Lock], bool] = may_be_running
) -> list[Lock]:
    """Remove and return the locks whose owner has ended. Ignores backends that are not a directory."""
    released: list[Lock] = []
    for file in _lock_files(backend_url, project, stack):
        try:
            lock = Lock.model_validate_json(file.read_text())
        except (OSError, ValidationError):
            continue  # released in the meantime, or being written
        if not is_running(lock):
            file.unlink(missing_ok=True)
            released.append(lock)
    return released


def remove_partly_written_files(backend_url: str, project: str, stack: str) -> None:
    """Remove partly written sidecars and temporary files of the stack. Does nothing while the stack is locked."""
    base = _base(backend_url)
    if base is None or any(_lock_files(backend_url, project, stack)):
        return
    for file in (base / ".pulumi").rglob("*.attrs"):
        if _is_partly_written(file):
            file.unlink(missing_ok=True)
    for file in (base / ".pulumi" / "stacks" / project).glob(f"{stack}.json*.tmp"):
        file.unlink(missing_ok=True)


def _is_partly_written(file: Path) -> bool:
    try:
        json.loads(file.read_text())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


def _base(backend_url: str) -> Path | None:
    """The directory of a backend, or None for other backends."""
    url = urlsplit(backend_url)
    return Path(unquote(url.netloc + url.path)).expanduser() if url.scheme == "file" else None


def _lock_files(backend_url: str, project: str, stack: str) -> Iterator[Path]:
    if base := _base(backend_url):
        yield from (base / ".pulumi" / "locks" / "organization" / project / stack).glob("*.json")
