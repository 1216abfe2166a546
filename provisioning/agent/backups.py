"""The backups on this node: its own, and those received from another node."""

from __future__ import annotations

from .node import Node

OWN = "/srv/tandem/backups"
RECEIVED = "/var/lib/tandem-backup/received"
_DUMP = ".sql.gz"


def backups(node: Node) -> dict[str, int]:
    """The size in bytes of each backup, by name."""
    files = [file for path in (OWN, RECEIVED) for file in node.at(path).glob("*" + _DUMP)]
    return {file.name[: -len(_DUMP)]: file.stat().st_size for file in files if not file.name.startswith(".")}
