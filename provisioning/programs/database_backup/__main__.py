"""The command line of the program, and its place on the node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import __doc__ as usage
from . import commands, receiver
from .files import BackupError

CONFIGURATION = Path("/etc/tandem/backup.json")
OWN = Path("/srv/tandem/backups")
RECEIVED = Path("/var/lib/tandem-backup/received")


def main(arguments: list[str], settings: dict[str, Any], own: Path) -> None:
    command, name, options = arguments[:1], "".join(arguments[1:2]), arguments[2:]
    if arguments == ["create"]:
        commands.create(settings, own)
    elif arguments == ["create", "--local"]:
        commands.create_local(settings, own)
    elif command == ["restore"] and name and not options:
        commands.restore(settings, own, name)
    elif command == ["replace"] and name and set(options) <= {"--audit-queue", "--discard"}:
        commands.replace(settings, own, name, with_queue="--audit-queue" in options, discard="--discard" in options)
    elif arguments == ["serve"]:
        request = os.environ.get("SSH_ORIGINAL_COMMAND", "")
        receiver.serve(settings, request, RECEIVED, sys.stdin.buffer, sys.stdout.buffer)
    else:
        raise BackupError(usage or "")


def _run() -> None:
    os.umask(0o077)
    if sys.argv[1:] != ["serve"] and not OWN.parent.is_mount():
        raise BackupError(f"{OWN.parent} is not mounted: the data disk is missing")
    main(sys.argv[1:], json.loads(CONFIGURATION.read_text(encoding="utf-8")), OWN)


if __name__ == "__main__":
    try:
        _run()
    except (BackupError, OSError, subprocess.CalledProcessError) as failed:
        sys.exit(f"backup: {failed}")
