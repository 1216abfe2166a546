"""The queue of audit records in Redis."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from .files import BackupError, new_file

QUEUE = "analytics-iam-system-analytics"  # the list in Redis (samples/iam/README.md)
# Authorization servers write to the queue all the time, so the restored records have a list of their own first.
_RESTORED = f"{QUEUE}-restored"
# They go to the end from which iam-pump takes records, because they are the oldest. A script is atomic.
_MOVE = "while redis.call('RPOPLPUSH', KEYS[1], KEYS[2]) do end"
_DEADLINE_S = 600


def back_up(settings: dict[str, Any], target: Path) -> str:
    try:
        queued = _redis(settings, "--raw", "DUMP", QUEUE).stdout[:-1]  # redis-cli appends a line feed
        if queued:
            with new_file(target) as file:
                file.write(queued)
    except (BackupError, OSError) as failed:
        return f"the queue of audit records is not in the backup: {failed}"
    return ""


def stage(settings: dict[str, Any], queue: Path) -> None:
    """Load the records into the list beside the queue. Raises BackupError."""
    _redis(settings, "--raw", "DEL", _RESTORED)
    _redis(settings, "-x", "RESTORE", _RESTORED, "0", content=queue.read_bytes())


def merge(settings: dict[str, Any]) -> None:
    """Move the loaded records to the queue. Raises BackupError."""
    _redis(settings, "--raw", "EVAL", _MOVE, "2", _RESTORED, QUEUE)


def read_environment(file: str) -> dict[str, str]:
    """The variables of an EnvironmentFile (systemd.exec(5)) with one value in double quotes in each line."""
    found = re.findall(r'^(\w+)="(.*)"$', Path(file).read_text(encoding="utf-8"), re.MULTILINE)
    return {name: re.sub(r"\\(.)", r"\1", value) for name, value in found}


def _redis(settings: dict[str, Any], *command: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    connect = ["redis-cli", "-e", "-h", settings["redis_host"], "-p", str(settings["redis_port"])]
    environment = {**os.environ, **read_environment(settings["redis_env"])}
    try:
        result = subprocess.run([*connect, *command], input=content, stdout=subprocess.PIPE, env=environment,
                                check=False, timeout=_DEADLINE_S)  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BackupError(f"redis-cli {command[1]} did not end within {_DEADLINE_S} s") from None
    if result.returncode:
        raise BackupError(f"redis-cli {command[1]} failed: {result.stdout.decode(errors='replace').strip()}")
    return result
