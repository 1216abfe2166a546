"""The backups on this node, and the calls of the backup program (provisioning/programs/backup.py)."""

from __future__ import annotations

from typing import Any

from . import held_data
from .kinds import database
from .node import Node
from .systemd import systemctl

OWN = "/srv/tandem/backups"
RECEIVED = "/var/lib/tandem-backup/received"
_DUMP = ".sql.gz"
_DEADLINE_S = 6 * 3600


def backups(node: Node) -> dict[str, int]:
    """The size in bytes of each backup, by name."""
    files = [file for path in (OWN, RECEIVED) for file in node.at(path).glob("*" + _DUMP)]
    return {file.name[: -len(_DUMP)]: file.stat().st_size for file in files if not file.name.startswith(".")}


def back_up(node: Node) -> dict[str, int]:
    """Make a backup now. Returns the new backups on this node, by name."""
    before = backups(node)
    node.before("back up")
    systemctl(node, "start", database.BACKUP_UNIT, timeout_s=_DEADLINE_S)
    return {name: size for name, size in backups(node).items() if name not in before}


def data_state(node: Node) -> dict[str, Any]:
    """The record that a database has held data, and whether this node has that database."""
    record = held_data.read(node)
    state = database.facts(node, []).get(record.get("database", ""), "")
    return {"record": record, "present": state not in ("", database.LOADING)}


def restore(node: Node, *, backup: str, audit_queue: bool) -> str:
    """Replace the database by a backup, after a backup of the present state. Returns the name of that backup."""
    (safety,) = back_up(node)
    node.before(f"restore {backup}")
    command = [database.BACKUP, "restore", backup, *(["--audit-queue"] if audit_queue else [])]
    node.run_checked("restore", command, timeout_s=_DEADLINE_S)
    return safety
