"""Functions shared by the kinds that read or write files."""

from __future__ import annotations

import errno
import grp
import hashlib
import os
import pwd
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .node import Node, StepError

SYSTEMD_FILES = "/etc/systemd/system/"


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _owner_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def owner_facts(target: Path) -> dict[str, Any]:
    status = target.stat()
    return {
        "owner": _owner_name(status.st_uid),
        "group": _group_name(status.st_gid),
        "mode": status.st_mode & 0o7777,
    }


def what_is(path: Path) -> str:
    """What a path is, without following a link: "a file", "a directory", "a symbolic link to X"; "" if nothing."""
    if path.is_symlink():
        return f"a symbolic link to {path.readlink()}"
    if path.is_dir():
        return "a directory"
    if path.is_file():
        return "a file"
    return "a special file" if path.exists() else ""


def discard(path: Path) -> None:
    """Delete a file, a link (never its target) or a directory tree, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def beside(target: Path) -> Path:
    """The path for the next version of `target`, before the rename. Nothing exists there, so no link is followed."""
    new = target.with_name(f".{target.name}.tandem")
    discard(new)
    return new


def set_owner(target: Path, file: dict[str, Any]) -> None:
    """Set owner, group and mode. Raises StepError if the user or group does not exist."""
    try:
        uid, gid = pwd.getpwnam(file["owner"]).pw_uid, grp.getgrnam(file["group"]).gr_gid
    except KeyError as missing:
        raise StepError("owner", f"{file['path']}: {missing.args[0]} on this node") from None
    os.chown(target, uid, gid)
    target.chmod(file["mode"])  # after chown, which clears the set-id bits


def sync_all(node: Node, paths: Iterable[Path]) -> None:
    """Write files and directories through to the disk, at the same time: a journal then commits them together."""
    errors: list[OSError] = []

    def sync(path: Path) -> None:
        try:
            handle = os.open(path, os.O_RDONLY)
            try:
                node.sync(handle)
            finally:
                os.close(handle)
        except OSError as failed:
            errors.append(failed)

    threads = [threading.Thread(target=sync, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def replace_text(node: Node, target: Path, text: str, *, owner: tuple[int, int], mode: int) -> None:
    """Replace a file that no candidate is staged for. `owner` is its user and group; only root reads it until then."""
    new = beside(target)
    # The owner of the directory may create a link at any moment: O_EXCL does not follow it, and neither does fchown.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    # "surrogateescape": bytes of other people's lines that are not UTF-8.
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as out:
        out.write(text)
        out.flush()
        os.fchown(out.fileno(), *owner)
        os.fchmod(out.fileno(), mode)
        node.sync(out.fileno())
    new.replace(target)
    sync_all(node, [target.parent])


def replace_with_staged(node: Node, file: dict[str, Any]) -> None:
    """Replace a file with its staged candidate. The commit syncs the directory at its end.

    After a power failure before that, the old file is drift.
    """
    target, staged = node.at(file["path"]), node.state_path("staged") / file["path"].lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    node.before("write " + file["path"])
    try:
        staged.replace(target)
    except OSError as failed:
        if failed.errno != errno.EXDEV:
            raise
        temporary = beside(target)
        shutil.copy2(staged, temporary)
        set_owner(temporary, file)
        temporary.replace(target)
    node.unsynced.add(target.parent)
    _note_unit_file(node, file["path"])


def _note_unit_file(node: Node, path: str) -> None:
    """Systemd does not notice a new directory of drop-in files, so it would not ask for a daemon-reload."""
    if path.startswith(SYSTEMD_FILES):
        node.unit_files_changed = True


ORIGINALS = "originals"  # files of the distribution that a file of a manifest has replaced


def keep_original(node: Node, path: str) -> None:
    """Keep the file of the distribution before the first version of ours replaces it."""
    current, kept = node.at(path), node.state_path(ORIGINALS) / path.lstrip("/")
    if kept.exists() or current.is_symlink() or not current.is_file():
        return
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = kept.with_name(f".{kept.name}.new")
    shutil.copy2(current, temporary)
    status = current.stat()
    os.chown(temporary, status.st_uid, status.st_gid)
    temporary.replace(kept)


def remove_file(node: Node, path: str) -> list[str]:
    """Delete a file that has left the manifest, or restore the one of the distribution that it had replaced."""
    target, kept = node.at(path), node.state_path(ORIGINALS) / path.lstrip("/")
    if kept.exists():
        node.before("restore " + path)
        try:
            kept.replace(target)
        except OSError as failed:
            if failed.errno != errno.EXDEV:
                raise
            temporary, status = beside(target), kept.stat()
            shutil.copy2(kept, temporary)
            os.chown(temporary, status.st_uid, status.st_gid)
            temporary.replace(target)
            kept.unlink()
        _note_unit_file(node, path)
        return ["restored " + path]
    if not os.path.lexists(target):
        return []
    node.before("remove " + path)
    target.unlink()
    _note_unit_file(node, path)
    return ["removed " + path]
