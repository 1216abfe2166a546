"""Finds the items that a node has applied and that are no longer in its manifest. Pure.

Only items that Tandem has applied are removed. Packages stay installed, and databases are never dropped. Old releases
are deleted by the kind old_archives, because some of them stay for a rollback; the last ones with their archive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.absent import Absent
from provisioning.kinds.base import Item, parse_action
from provisioning.kinds.unit import Unit

LEFT = "no longer in the manifest"
Entry = Mapping[str, Any]  # names an item after it has left the manifest: {"kind": "file", "path": ...}


@dataclass(frozen=True, slots=True)
class Leaving:
    """What a node has to remove."""

    # Configuration of units that stay and run: removed with the commit, to be validated and read by the units.
    absent: tuple[Absent, ...]
    removals: tuple[Entry, ...]  # everything else, in order; removed after all nodes have passed their health gates
    record: tuple[Entry, ...]  # the items that the next manifest may have to remove


def find_leaving(items: Sequence[Item], applied: Sequence[Entry]) -> Leaving:
    own = _entries_of(items)
    # A path or a unit may have passed to an item of another kind.
    paths = {candidate.path for item in items for candidate in item.candidates()}
    units = {unit for item in items for unit in (*item.units(), *item.follows())}
    running = units - {item.name for item in items if isinstance(item, Unit) and not item.running}
    left = [entry for entry in applied if entry not in own and not _is_used(entry, paths, units)]
    absent = [
        Absent(entry["path"], after=tuple(map(parse_action, entry["after"])))
        for entry in left
        if any(parse_action(action).unit in running for action in entry.get("after", ()))
    ]
    gone = {item.path for item in absent}
    # In reverse order: units stop before their files are deleted, and files are deleted before their directories.
    removals = [entry for entry in reversed(left) if entry.get("path") not in gone]
    return Leaving(tuple(absent), tuple(removals), own)


def _entries_of(items: Sequence[Item]) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for item in items:
        removal = item.removal()
        if removal is not None and (entry := {"kind": item.kind(), **removal}) not in entries:
            entries.append(entry)
    return tuple(entries)


def _is_used(entry: Entry, paths: set[str], units: set[str]) -> bool:
    if entry["kind"] == "unit":
        return entry["name"] in units
    return entry.get("path") in paths or entry.get("unit") in units


def describe_entry(entry: Entry) -> str:
    """The name in plans: "unit nginx", "file /etc/nginx/nginx.conf", "account iam 10.0.4.22"."""
    return " ".join(str(value) for key, value in entry.items() if key != "after")
