"""The copies of backups on the other node and in the bucket."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Any

from .files import REPLACED, BackupError, names_in, new_file, sha256_of

UPLOAD = "/usr/local/lib/tandem/backup-upload"  # programs/backup_upload.py


def _ssh(settings: dict[str, Any], command: str) -> list[str]:
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=10", "ServerAliveInterval=15",
               f"UserKnownHostsFile={settings['known_hosts']}"]  # fmt: skip
    words = [word for option in options for word in ("-o", option)]
    return ["ssh", "-i", settings["key"], *words, f"tandem-backup@{settings['peer']}", command]


def copy_to_peer(settings: dict[str, Any], own: Path) -> str:
    """Send what the other node lacks. Returns the error, or "": the next run repeats a failed copy."""
    listed = subprocess.run(_ssh(settings, "list"), stdout=subprocess.PIPE, text=True, check=False)
    if listed.returncode:
        return f"{settings['peer']} cannot be reached by SSH"
    for name in sorted(set(names_in(own)) - set(listed.stdout.split())):
        # The dump is last: with it the backup is complete.
        for file in (own / f"{name}.queue", own / f"{name}{REPLACED}", own / f"{name}.sql.gz"):
            with contextlib.suppress(FileNotFoundError):  # no queue, no mark; or the backup has just expired
                if _send(settings, file):
                    return f"{file.name} was not copied to {settings['peer']}"
    return ""


def _send(settings: dict[str, Any], file: Path) -> int:
    command = f"receive {file.name} {file.stat().st_size} {sha256_of(file)}"
    with file.open("rb") as content:
        return subprocess.run(_ssh(settings, command), stdin=content, check=False).returncode


def copy_to_bucket(settings: dict[str, Any]) -> str:
    if "bucket" in settings and subprocess.run([UPLOAD], check=False).returncode:
        return f"not every backup was uploaded to the bucket {settings['bucket']['name']}"
    return ""


def find(settings: dict[str, Any], folder: Path, name: str) -> Path | None:
    """The file on this node, after fetching it from the other node if necessary."""
    own = folder / name
    if not own.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(BackupError), new_file(own) as file:
            fetched = subprocess.run(_ssh(settings, f"fetch {name}"), stdout=file, check=False)
            if fetched.returncode or not Path(file.name).stat().st_size:
                raise BackupError(f"{settings['peer']} has no {name}")
    return own if own.exists() else None
