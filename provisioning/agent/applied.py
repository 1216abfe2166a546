"""The record of the items that Tandem has applied to this node, and the removal of those that left the manifest.

Only recorded items are removed: what people have installed or created on the node is not touched.
"""

from __future__ import annotations

from typing import Any

from . import kinds
from .files import SYSTEMD_FILES, keep_original
from .node import Node
from .previous import RECORD, REVISION
from .systemd import add_pending, read_pending, read_unit_files, settle

_REMOVED = "removed.json"  # {"revision": ..., "entries": [...]}: what the current revision has removed
Entry = dict[str, Any]


def read(node: Node) -> list[Entry]:
    """The recorded items in the order of their manifest."""
    return list(node.read_json(RECORD, []))


def add(node: Node, entries: list[Entry]) -> None:
    """Record items before they are applied, so that the next manifest can remove them after an interrupted run."""
    recorded = read(node)
    ours = {entry.get("path") for entry in recorded}
    _keep_originals(node, [entry for entry in entries if entry.get("path") not in ours])
    record = [*(entry for entry in recorded if entry not in entries), *entries]
    if record != recorded:
        node.write_json(RECORD, record)


def add_again(node: Node, entries: list[Entry]) -> None:
    """Record the items that a rollback is about to restore, so that a later rollout can remove them."""
    recorded = read(node)
    missing = [entry for entry in entries if entry not in recorded]
    _keep_originals(node, missing)
    if missing:
        node.write_json(RECORD, [*recorded, *missing])


def _keep_originals(node: Node, entries: list[Entry]) -> None:
    for entry in entries:
        if entry["kind"] == "file":
            keep_original(node, entry["path"])


def remove(
    node: Node, *, entries: list[Entry], record: list[Entry], secrets: dict[str, Entry] | None = None
) -> list[str]:
    """Remove the entries in order, then record the items that remain. `secrets` are for all entries of a kind."""
    # After a rollback, entries of the newer version are in the record although its files do not exist any more.
    if any(node.at(entry["path"]).exists() for entry in entries if entry.get("path", "").startswith(SYSTEMD_FILES)):
        add_pending(node, ["daemon-reload"])
    _record_removal(node, entries)
    if any(entry["kind"] in ("unit", "timer") for entry in entries):
        read_unit_files(node)  # until then, systemd shows units that an interrupted commit enabled as disabled
    done: list[str] = []
    for entry in entries:
        named = {key: value for key, value in entry.items() if key != "kind"}
        done += kinds.get(entry["kind"]).remove(node, {**named, **(secrets or {}).get(entry["kind"], {})})
    if "daemon-reload" in read_pending(node):
        done += settle(node, "daemon-reload")
    node.write_json(RECORD, record)
    return done


def removed(node: Node) -> list[Entry]:
    """What the current revision has removed, which the previous one may need."""
    recorded = node.read_json(_REMOVED, {})
    return list(recorded["entries"]) if recorded.get("revision") == _current(node) else []


def _record_removal(node: Node, entries: list[Entry]) -> None:
    before = removed(node)
    new = [entry for entry in entries if entry not in before]
    if new:
        node.write_json(_REMOVED, {"revision": _current(node), "entries": [*before, *new]})


def _current(node: Node) -> str:
    return str((node.read_json(REVISION, None) or {"revision": ""})["revision"])
