"""SSH keys that may log in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from ..files import replace_text, what_is
from ..node import Node, StepError

_DIRECTORY, _FILE = ".ssh", ".ssh/authorized_keys"


class _User(NamedTuple):
    name: str
    uid: int
    gid: int
    home: str


def _users(node: Node) -> list[_User]:
    rows = (line.split(":") for line in node.read("/etc/passwd").splitlines())
    return [_User(row[0], int(row[2]), int(row[3]), row[5]) for row in rows if len(row) >= 6]  # noqa: PLR2004 - passwd(5)


def _file(node: Node, user: _User) -> Path:
    return node.at(user.home) / _FILE


def _lines(file: Path) -> list[str]:
    return file.read_text(errors="surrogateescape").splitlines() if file.is_file() else []


def _has(line: str, key: str) -> bool:
    """Whether a line is for this key. Options may precede the key, and a comment may follow it."""
    return key.split()[1] in line.split() and not line.startswith("#")


def facts(node: Node, questions: list[dict[str, str]]) -> dict[str, str]:
    """By user and key: "" if it may log in, or the reason why not."""
    users = {user.name: user for user in _users(node)}
    return {
        f"{each['user']} {' '.join(each['key'].split()[:2])}": _difference(node, users.get(each["user"]), each["key"])
        for each in questions
    }


def _difference(node: Node, user: _User | None, key: str) -> str:
    if user is None or not any(_has(line, key) for line in _lines(_file(node, user))):
        return "not authorized"
    file = _file(node, user)
    ignored = [path for path in (file.parent, file) if _is_ignored(path, user)]
    names = [f"~/{_FILE if path == file else _DIRECTORY}" for path in ignored]
    return f"sshd ignores the keys: owner or mode of {' and '.join(names)} is wrong" if names else ""


def _is_ignored(path: Path, user: _User) -> bool:
    """Whether sshd ignores keys in it (StrictModes): others may write it, or it belongs to another user."""
    status = path.stat()
    return status.st_uid not in (0, user.uid) or bool(status.st_mode & 0o022)


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    user = next((user for user in _users(node) if user.name == item["user"]), None)
    if user is None:
        raise StepError("SSH key", f"the user {item['user']} does not exist on this node")
    file = _file(node, user)
    # The user may have created a link, which would lead to the keys of another user.
    if what_is(file.parent) not in ("", "a directory"):
        raise StepError("SSH key", f"{user.home}/{_DIRECTORY} must be a directory (is {what_is(file.parent)})")
    if not file.parent.is_dir():
        file.parent.mkdir(mode=0o700, parents=True)
        os.chown(file.parent, user.uid, user.gid, follow_symlinks=False)
    elif _is_ignored(file.parent, user):
        os.chown(file.parent, user.uid, user.gid, follow_symlinks=False)
        file.parent.chmod(0o700)
    lines = [line for line in _lines(file) if not _has(line, item["key"])]
    node.before(f"authorize a key of {user.name}")
    _replace(node, file, [*lines, item["key"].strip()], user)
    return [f"authorized the key of {user.name}"]


def remove(node: Node, entry: dict[str, Any]) -> list[str]:
    done: list[str] = []
    for user in _users(node):
        lines = _lines(_file(node, user))
        kept = [line for line in lines if not _has(line, entry["key"])]
        if kept != lines and what_is(_file(node, user).parent) == "a directory":
            node.before(f"remove a key of {user.name}")
            _replace(node, _file(node, user), kept, user)
            done.append(f"removed an old key of {user.name}")
    return done


def _replace(node: Node, file: Path, lines: list[str], user: _User) -> None:
    replace_text(node, file, "".join(f"{line}\n" for line in lines), owner=(user.uid, user.gid), mode=0o600)
