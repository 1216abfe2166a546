"""Candidates are written and judged before anything in use is touched."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from .change_lock import mine
from .files import own
from .node import Node, StepError
from .systemd import merge, read_pending


class _Candidates(NamedTuple):
    """What would change, below `staged`."""

    staged: Path
    files: list[dict[str, Any]]
    links: list[dict[str, Any]]
    absent: list[str]

    def put_into(self, copy: Path, below: str) -> None:
        """Make a directory's copy what the directory would be; `below` is its path with a slash at its end."""
        for file in self.files:
            if file["path"].startswith(below):
                place = copy / file["path"][len(below) :]
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.staged / file["path"].lstrip("/"), place)
                own(place, file)
        for path in [*self.absent, *(link["path"] for link in self.links)]:
            if path.startswith(below):
                with contextlib.suppress(FileNotFoundError):
                    (copy / path[len(below) :]).unlink()
        for link in self.links:
            if link["path"].startswith(below):
                (copy / link["path"][len(below) :]).symlink_to(link["target"])


def stage(
    node: Node,
    *,
    revision: str,
    files: list[dict[str, Any]],
    links: list[dict[str, Any]],
    absent: list[str],
    afters: list[str],
    checks: list[dict[str, Any]],
) -> None:
    """Write every candidate and let each check judge them. Nothing in use is touched."""
    with mine(node):
        staged = node.state_path("staged")
        shutil.rmtree(staged, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):  # of a run that was killed before its commit
            node.state_path("pending.next.json").unlink()
        staged.mkdir(mode=0o700)
        for file in files:
            node.before("stage " + file["path"])
            _stage_file(node, staged / file["path"].lstrip("/"), file)
        for check in checks:
            node.before("check " + check["name"])
            _check(node, check, _Candidates(staged, files, links, absent))
        _keep_previous(node, revision, [entry["path"] for entry in [*files, *links]] + absent)
        node.write_json("pending.next.json", merge(read_pending(node), afters))


def _stage_file(node: Node, place: Path, file: dict[str, Any]) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(file["text"])
        out.flush()
        own(place, file)
        node.sync(out.fileno())


def _check(node: Node, check: dict[str, Any], candidates: _Candidates) -> None:
    """Run a check that sees the candidates where they will be. Raises StepError with what it said."""
    trial = node.state_path("trial")
    shutil.rmtree(trial, ignore_errors=True)
    trial.mkdir(mode=0o700)
    mounts: list[str] = []
    for number, directory in enumerate(check["directories"]):
        here, copy = node.at(directory), trial / str(number)
        here.mkdir(parents=True, exist_ok=True)
        shutil.copytree(here, copy, symlinks=True)
        shutil.copystat(here, copy)
        candidates.put_into(copy, directory.rstrip("/") + "/")
        mounts += [str(copy), str(here)]
    # The mounts end with the command, and nobody else sees them.
    script = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 120; shift 2; done; shift; exec "$@"'
    told = node.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "tandem", *mounts, "--"]
        + check["command"],
        timeout_s=60,
    )
    shutil.rmtree(trial, ignore_errors=True)
    if told.code:
        words = (told.err + told.out).replace(str(trial), "").strip()
        raise StepError("check", check["name"], f"{words}\nexit code {told.code} of: {' '.join(check['command'])}")


def _keep_previous(node: Node, revision: str, paths: list[str]) -> None:
    """Keep what is about to be replaced, so that a rollback has something to go back to.

    A hard link costs no room and cannot be half-written. A run that goes on where one was killed has the
    same revision and must not overwrite what that one kept.
    """
    previous = node.state_path("previous")
    if node.read_json("previous/journal.json", {}).get("revision") != revision:
        shutil.rmtree(previous, ignore_errors=True)
        (previous / "files").mkdir(mode=0o700, parents=True)
        node.write_json("previous/journal.json", {"revision": revision, "existed": {}})
    journal = node.read_json("previous/journal.json", {})
    for path in paths:
        if path in journal["existed"]:
            continue
        here, kept = node.at(path), previous / "files" / path.lstrip("/")
        journal["existed"][path] = os.path.lexists(here)
        if journal["existed"][path]:
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                kept.unlink()
            try:
                os.link(here, kept, follow_symlinks=False)
            except OSError:  # another file system
                shutil.copy2(here, kept, follow_symlinks=False)
    node.write_json("previous/journal.json", journal)
