"""The backups on the nodes of a group."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from provisioning.parallel import in_parallel
from provisioning.ssh.agent_calls import Connection

_NAME = re.compile(r"\d{8}T\d{6}Z")


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup, and the nodes that have a copy."""

    name: str  # its time in UTC, 20261127T020000Z
    nodes: tuple[str, ...]
    size_bytes: int

    @property
    def time(self) -> datetime:
        return parse_name(self.name)


def parse_name(name: str) -> datetime:
    return datetime.strptime(name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def list_backups(connections: Sequence[Connection]) -> list[Backup]:
    """All backups, the newest first."""
    lists = in_parallel(connections, read_sizes)
    return merge({connection.node.name: sizes for connection, sizes in zip(connections, lists, strict=True)})


def read_sizes(connection: Connection) -> dict[str, int]:
    """The sizes in bytes of the backups on one node, by name."""
    return connection.call([{"do": "backups"}])[0]


def merge(sizes: Mapping[str, Mapping[str, int]]) -> list[Backup]:
    """The backups of all nodes, the newest first. `sizes` has what `read_sizes` returns, by node."""
    found: dict[str, list[tuple[str, int]]] = {}
    for node, backups in sizes.items():
        for name, size in backups.items():
            if _NAME.fullmatch(name):
                found.setdefault(name, []).append((node, size))
    return [
        Backup(name, tuple(node for node, _ in copies), copies[0][1])
        for name, copies in sorted(found.items(), reverse=True)
    ]


def describe_backups(backups: Sequence[Backup]) -> list[str]:
    """One line for each backup."""
    return [
        f"{backup.time:%Y-%m-%d %H:%M:%S} UTC  {backup.size_bytes / 1024:,.0f} KiB  on {', '.join(backup.nodes)}"
        for backup in backups
    ]


def choose(backups: Sequence[Backup], at: datetime | None) -> Backup | None:
    """The newest backup, or the newest one that is not younger than `at`."""
    return next((backup for backup in backups if at is None or backup.time <= at), None)
