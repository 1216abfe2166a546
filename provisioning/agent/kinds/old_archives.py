"""Deletes old archives. The modification time of an archive's directory says when it was made current."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..node import Node
from .archive import INCOMING, archives, delete, partial

ABANDONED_S = 3600  # another operator may send the next release; a transfer in which nothing moves ends sooner


def facts(node: Node, questions: list[str]) -> dict[str, dict[str, list[str]]]:
    """The names of the archives, the last one that was current first, and of the leftovers of killed transfers."""
    return {
        current: {
            "archives": archives(node, _directory(current)),
            "leftovers": [*_partial(node, _directory(current)), *_parts(node)],
        }
        for current in questions
    }


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    directory, _, name = item["current"].rpartition("/")
    others = [each for each in archives(node, directory) if each != name]
    node.before("mark " + item["current"])
    # Later than the other marks, even if the clock was ahead when one of them was made.
    latest_ns = max((node.at(f"{directory}/{each}").stat().st_mtime_ns for each in others), default=0)
    marked_ns = max(int(node.wall_clock() * 1e9), latest_ns + 10**9)
    os.utime(node.at(item["current"]), ns=(marked_ns, marked_ns))
    old = others[item["keep"] :]
    deleted = [delete(node, directory, each) for each in [*old, *_partial(node, directory)]]
    for part in _parts(node):
        node.before(f"delete {part}")
        (node.state_path(INCOMING) / part).unlink(missing_ok=True)
        deleted.append(f"deleted {part}")
    return deleted or [f"marked {item['current']} as current"]


def _directory(current: str) -> str:
    return current.rpartition("/")[0]


def _parts(node: Node) -> list[str]:
    """The names of the parts of archives that `receive` did not complete."""
    directory = node.state_path(INCOMING)
    return sorted(each.name for each in directory.iterdir() if _is_abandoned(node, each)) if directory.is_dir() else []


def _partial(node: Node, directory: str) -> list[str]:
    return [name for name in partial(node, directory) if _is_abandoned(node, node.at(directory) / name)]


def _is_abandoned(node: Node, path: Path) -> bool:
    try:
        return node.wall_clock() - path.stat().st_mtime > ABANDONED_S
    except FileNotFoundError:
        return False
