"""The backups on the nodes of a group."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from provisioning.parallel import in_parallel
from provisioning.ssh.agent_calls import Connection

_NAME = re.compile(r"\d{8}T\d{6}Z")


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup, and the nodes that have a copy."""

    name: str  # its time in UTC, 20261127T020000Z
    nodes: tuple[str, ...]
    size_bytes: int
    replaced: bool = False  # the data that a restore replaced

    @property
    def time(self) -> datetime:
        return parse_name(self.name)


def parse_name(name: str) -> datetime:
    return datetime.strptime(name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def list_backups(connections: Sequence[Connection]) -> list[Backup]:
    """All backups, the newest first."""
    lists = in_parallel(connections, read_backups)
    return merge({connection.node.name: backups for connection, backups in zip(connections, lists, strict=True)})


def read_backups(connection: Connection) -> dict[str, dict[str, Any]]:
    """The size in bytes of each backup on one node, and whether a restore replaced its data, by name."""
    return connection.call([{"do": "backups"}])[0]


def merge(read: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Backup]:
    """The backups of all nodes, the newest first. `read` has what `read_backups` returns, by node."""
    names = {name for backups in read.values() for name in backups if _NAME.fullmatch(name)}
    return [_merge_copies(name, read) for name in sorted(names, reverse=True)]


def _merge_copies(name: str, read: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Backup:
    copies = {node: backups[name] for node, backups in read.items() if name in backups}
    return Backup(
        name, tuple(copies), next(iter(copies.values()))["size"], any(each["replaced"] for each in copies.values())
    )


def describe_backups(backups: Sequence[Backup]) -> list[str]:
    """One line for each backup."""
    return [
        f"{backup.time:%Y-%m-%d %H:%M:%S} UTC  {backup.size_bytes / 1024:,.0f} KiB  on {', '.join(backup.nodes)}"
        + ("  replaced by a restore" if backup.replaced else "")
        for backup in backups
    ]


def choose(backups: Sequence[Backup], at: datetime | None) -> Backup | None:
    """The newest backup, or the newest one that is not younger than `at`.

    A backup of data that a restore replaced may have the fault for which it was replaced: it is chosen only by its
    time.
    """
    return next(
        (each for each in backups if (at is None or each.time <= at) and (not each.replaced or each.time == at)), None
    )
