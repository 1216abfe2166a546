"""Stages and validates the candidates before anything in use changes."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from . import previous
from .files import set_owner, sync_all
from .node import Node, StepError
from .systemd import merge, read_pending


class _Candidates(NamedTuple):
    """The planned changes; the files are below `staged`."""

    staged: Path
    files: list[dict[str, Any]]
    links: list[dict[str, Any]]
    absent: list[str]

    def put_into(self, copy: Path, below: str) -> None:
        """Apply the changes to a copy of a directory. `below` is the path of the directory, with a trailing slash."""
        for file in self.files:
            if file["path"].startswith(below):
                target = copy / file["path"][len(below) :]
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.staged / file["path"].lstrip("/"), target)
                set_owner(target, file)
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
    serial: int,
    files: list[dict[str, Any]],
    links: list[dict[str, Any]],
    absent: list[str],
    units: list[str],
    unit_actions: list[str],
    checks: list[dict[str, Any]],
) -> None:
    """Write every candidate and run the checks on them. Nothing in use changes. Raises StepError."""
    staged = node.state_path("staged")
    shutil.rmtree(staged, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):  # left by a run that was killed before its commit
        node.state_path("pending.next.json").unlink()
    staged.mkdir(mode=0o700)
    for file in files:
        node.before("stage " + file["path"])
        _stage_file(staged / file["path"].lstrip("/"), file)
    sync_all(node, [staged / file["path"].lstrip("/") for file in files])
    for check in checks:
        node.before("check " + check["name"])
        _check(node, check, _Candidates(staged, files, links, absent))
    paths = [entry["path"] for entry in [*files, *links]] + absent
    previous.keep(node, revision=revision, serial=serial, paths=paths, units=units, actions=unit_actions)
    node.write_json("pending.next.json", merge(read_pending(node), unit_actions))


def _stage_file(target: Path, file: dict[str, Any]) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(file["text"])
        out.flush()
        set_owner(target, file)


def _copy_directory(original: Path, copy: Path) -> None:
    """Copy with owners and modes: a check may run as the user of its service."""
    shutil.copytree(original, copy, symlinks=True)
    for path in [original, *original.rglob("*")]:
        status = path.lstat()
        os.chown(copy / path.relative_to(original), status.st_uid, status.st_gid, follow_symlinks=False)


def _check(node: Node, check: dict[str, Any], candidates: _Candidates) -> None:
    """Run a check with the candidates at their final paths. Raises StepError with its output."""
    trial = node.state_path("trial")
    shutil.rmtree(trial, ignore_errors=True)
    trial.mkdir(mode=0o700)
    mounts: list[str] = []
    for number, directory in enumerate(check["directories"]):
        original, copy = node.at(directory), trial / str(number)
        original.mkdir(parents=True, exist_ok=True)
        _copy_directory(original, copy)
        candidates.put_into(copy, directory.rstrip("/") + "/")
        mounts += [str(copy), str(original)]
    # The mounts exist in the command's mount namespace only and end with it.
    script = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 120; shift 2; done; shift; exec "$@"'
    result = node.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "tandem", *mounts, "--"]
        + check["command"],
        timeout_s=60,
    )
    shutil.rmtree(trial, ignore_errors=True)
    if result.code:
        output = (result.err + result.out).replace(str(trial), "").strip()
        seen = f"{output}\nexit code {result.code} of: {' '.join(check['command'])}"
        raise StepError("check", check["name"], seen)
