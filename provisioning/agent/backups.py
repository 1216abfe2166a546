"""The backups on this node, and the calls of the backup program (provisioning/programs/database_backup)."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from . import held_data
from .kinds import database, file_system
from .node import NOT_FOUND, Node, StepError
from .systemd import systemctl

OWN = "/srv/tandem/backups"
RECEIVED = "/var/lib/tandem-backup/received"
ABSENT, PRESENT, UNKNOWN = "absent", "present", "unknown"
_DUMP, _REPLACED = ".sql.gz", ".replaced"  # provisioning/programs/database_backup
_DEADLINE_S = 6 * 3600
_DATA = "/var/lib/mysql"
_DISK, MOUNT_UNIT = "/srv/tandem", "/etc/systemd/system/srv-tandem.mount"  # provisioning/services/data_disk.py


def backups(node: Node) -> dict[str, dict[str, Any]]:
    """The size in bytes of each backup, and whether a restore replaced its data, by name."""
    found: dict[str, dict[str, Any]] = {}
    for file in (file for path in (OWN, RECEIVED) for file in node.at(path).glob("[0-9]*" + _DUMP)):
        with contextlib.suppress(FileNotFoundError):  # just expired
            name = file.name[: -len(_DUMP)]
            found[name] = {"size": file.stat().st_size, "replaced": file.with_name(name + _REPLACED).exists()}
    return found


def back_up(node: Node) -> list[str]:
    """Make a backup now. Returns the names of the new backups on this node."""
    before = backups(node)
    node.before("back up")
    systemctl(node, "start", database.BACKUP_UNIT, timeout_s=_DEADLINE_S)
    return [name for name in backups(node) if name not in before]


def data_state(node: Node) -> dict[str, Any]:
    """The record that a database has held data, and whether this node has that database."""
    record = held_data.read(node)
    return {"record": record, "database": _state(node, record.get("database", ""))}


def _state(node: Node, name: str) -> str:
    """UNKNOWN if MariaDB cannot be queried and its data may exist."""
    comments = database.facts(node, [])
    if comments:
        return ABSENT if comments.get(name, "") in ("", database.LOADING) else PRESENT
    if node.run(["mariadb", "--version"]).code == NOT_FOUND:
        return ABSENT  # a new node
    if name and node.at(f"{_DATA}/{name}").exists():
        return UNKNOWN
    if node.run(["mountpoint", "-q", _DISK]).code == 0:
        return ABSENT
    device = re.search(r"^What=(.*)$", node.read(MOUNT_UNIT), re.MULTILINE)
    return UNKNOWN if device and file_system.facts(node, [device[1]]).get(device[1]) else ABSENT


def restore(node: Node, *, backup: str, audit_queue: bool, discard: bool) -> dict[str, Any]:
    """Replace the database by a backup. Returns what the program reported.

    {"kept": the name of the backup of the data before it, or "" with `discard`, "warnings": what failed beside it}
    """
    node.before(f"restore {backup}")
    options = [*(["--audit-queue"] if audit_queue else []), *(["--discard"] if discard else [])]
    result = node.run([database.BACKUP, "replace", backup, *options], timeout_s=2 * _DEADLINE_S)
    kept = re.search(r"^created (\S+)$", result.out, re.MULTILINE)
    if result.code:
        raise StepError("restore", f"the backup {backup} was not restored", result.out + result.err)
    warnings = re.findall(r"^warning: (.*)$", result.out, re.MULTILINE)
    return {"kept": kept[1] if kept else "", "warnings": warnings}
