"""The previous version of what a rollout changes, kept until the next successful one.

- `undo.next.json`: written while staging. The commit renames it to `undo.json` before its first change.
- `undo.json`: the current version has not passed its health gates yet; this undoes it. A run that continues an
  interrupted one keeps the entries, so that this is always the way back to the last version that passed.
- `previous.json`: the same for the current version after it has passed; `tandem rollback` uses it.
- `previous/<id>/`: the kept files of one of these, as hard links, which need no disk space.
- `revision.json`: the last revision that passed its health gates, with these gates.
- `rejected.json`: revisions that were rolled back, by name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .node import Node
from .systemd import merge, reset_crashes, unit_facts
from .upstreams import text_before_leave

UNDO_NEXT, UNDO, PREVIOUS = "undo.next.json", "undo.json", "previous.json"
REVISION, REJECTED = "revision.json", "rejected.json"
RECORD = "manifest.json"  # of applied.py
_MAX_REJECTED = 20


def keep(node: Node, *, revision: str, serial: int, paths: list[str], units: list[str], actions: list[str]) -> None:
    """Keep the current versions of these paths, and the state of these units, in `undo.next.json`."""
    journal: dict[str, Any] = node.read_json(UNDO, None) or {
        "id": uuid.uuid4().hex[:12],
        "base": node.read_json(REVISION, None),
        "record": node.read_json(RECORD, []),
        "existed": {},
        "units": {},
        "actions": [],
    }
    journal.update(revision=revision, serial=serial, actions=merge(journal["actions"], actions))
    kept = _kept(node, journal)
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in paths:
        if path not in journal["existed"]:
            journal["existed"][path] = _keep_path(node, path, kept / path.lstrip("/"))
    new = [unit for unit in dict.fromkeys(units) if unit not in journal["units"]]
    for unit, fact in unit_facts(node, new).items():
        journal["units"][unit] = {"enabled": fact["enabled"], "running": fact["active"]}
    node.write_json(UNDO_NEXT, journal)


def _keep_path(node: Node, path: str, kept: Path) -> bool:
    """Keep the current version of one path. Returns whether it exists."""
    current = node.at(path)
    with contextlib.suppress(FileNotFoundError):  # left by a run that was killed before its commit
        kept.unlink()
    if not os.path.lexists(current):
        return False
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = text_before_leave(node, path)
    if text is not None:
        kept.write_text(text)
        shutil.copystat(current, kept)
        os.chown(kept, current.stat().st_uid, current.stat().st_gid)
        return True
    try:
        os.link(current, kept, follow_symlinks=False)
    except OSError:  # another file system
        _copy(current, kept)
    return True


def _copy(source: Path, target: Path) -> None:
    """Copy a file or link with its owner and mode."""
    shutil.copy2(source, target, follow_symlinks=False)
    status = source.lstat()
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)


def is_repair(journal: Mapping[str, Any]) -> bool:
    """Whether a journal returns to its own version, as in a repair and in the last part of a rollout."""
    return bool(journal["base"]) and journal["base"]["revision"] == journal["revision"]


def activate(node: Node) -> None:
    """Make the journal of the staged candidates valid. Called by the commit before its first change."""
    with contextlib.suppress(FileNotFoundError):
        node.state_path(UNDO_NEXT).replace(node.state_path(UNDO))


def accept(node: Node, *, revision: str, serial: int, gates: list[dict[str, Any]], at: str = "", by: str = "") -> None:
    """Record that the current version has passed its health gates. Its predecessor becomes the previous version."""
    node.before("accept")
    journal = node.read_json(UNDO, None)
    node.write_json(REVISION, {"revision": revision, "serial": serial, "gates": gates, "at": at, "by": by})
    if journal is None:
        return
    reset_crashes(node, list(journal["units"]))
    node.before("keep previous")
    # A repair of the same revision is not a new version: the previous one stays the same.
    if journal["base"] and journal["base"]["revision"] != revision:
        node.state_path(UNDO).replace(node.state_path(PREVIOUS))
    else:
        node.state_path(UNDO).unlink()
    remove_unused(node)


def restore_paths(node: Node, journal: dict[str, Any]) -> list[str]:
    """Restore the kept version of each path, atomically. Returns a description of each change."""
    kept = _kept(node, journal)
    done: list[str] = []
    for path, existed in journal["existed"].items():
        target, source = node.at(path), kept / path.lstrip("/")
        if existed and not _same(target, source):
            node.before("restore " + path)
            _replace(target, source)
            done.append("restored " + path)
        elif not existed and os.path.lexists(target):
            node.before("remove " + path)
            target.unlink()
            done.append("removed " + path)
    return done


def kept_text(node: Node, journal: dict[str, Any], path: str) -> str | None:
    """The text of the kept version of a path; None if the path is not in the journal, "" if it did not exist."""
    if path not in journal["existed"]:
        return None
    return (_kept(node, journal) / path.lstrip("/")).read_text() if journal["existed"][path] else ""


def missing_targets(node: Node, journal: dict[str, Any]) -> list[str]:
    """The targets of the kept links that no longer exist, for example a deleted release."""
    kept = _kept(node, journal)
    links = [kept / path.lstrip("/") for path, existed in journal["existed"].items() if existed]
    targets = [str(link.readlink()) for link in links if link.is_symlink()]
    return [target for target in targets if target.startswith("/") and not node.at(target).exists()]


def remove_unused(node: Node) -> None:
    """Delete kept files that no journal refers to."""
    used = {(node.read_json(name, None) or {}).get("id") for name in (UNDO_NEXT, UNDO, PREVIOUS)}
    directory = node.state_path("previous")
    for entry in directory.iterdir() if directory.is_dir() else ():
        if entry.name not in used:
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()


def reject(node: Node, *, revision: str, at: str, by: str) -> None:
    """Mark a revision as rejected: rollouts of it are refused on this node."""
    rejected = node.read_json(REJECTED, {})
    if revision not in rejected:
        node.before("reject")
        marks = [*rejected.items(), (revision, {"at": at, "by": by})]
        node.write_json(REJECTED, dict(marks[-_MAX_REJECTED:]))


def pardon(node: Node) -> list[str]:
    """Remove all marks of rejected revisions. Returns these revisions."""
    rejected = node.read_json(REJECTED, {})
    if rejected:
        node.write_json(REJECTED, {})
    return list(rejected)


def version_facts(node: Node) -> dict[str, Any]:
    """The revisions on this node: current, previous, rejected; and whether the last change has passed its gates."""
    previous, undo = node.read_json(PREVIOUS, None), node.read_json(UNDO, None)
    return {
        "current": node.read_json(REVISION, None),
        "previous": _summary(node, previous) if previous else None,
        "unfinished": _summary(node, undo) if undo else None,
        "rejected": node.read_json(REJECTED, {}),
    }


def _summary(node: Node, journal: dict[str, Any]) -> dict[str, Any]:
    shown = {key: journal[key] for key in ("revision", "serial", "base", "actions")}
    return {**shown, "missing": missing_targets(node, journal)}


def _kept(node: Node, journal: dict[str, Any]) -> Path:
    return node.state_path("previous") / str(journal["id"])


def _same(target: Path, source: Path) -> bool:
    """Whether the path is already the kept file itself; a copy from another file system is restored again."""
    return os.path.lexists(target) and os.path.samestat(target.lstat(), source.lstat())


def _replace(target: Path, source: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.tandem")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    try:
        os.link(source, new, follow_symlinks=False)
    except OSError:  # another file system
        _copy(source, new)
    # rename(2) does nothing if both names are links to the same file, so `new` could remain.
    new.replace(target)
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
