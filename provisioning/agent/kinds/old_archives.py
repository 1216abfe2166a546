"""Deletes old archives. The modification time of an archive's directory says when it was made current."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

from ..node import Node
from .archive import INCOMING, record_name

# Other names in the directory are not ours.
_ARCHIVE = re.compile(r"[0-9a-f]{12}\Z")
_INCOMPLETE = re.compile(r"\.[0-9a-f]{12}\.[0-9]+\Z")


def facts(node: Node, questions: list[str]) -> dict[str, dict[str, list[str]]]:
    """The names of the archives, the last one that was current first, and of the leftovers of killed transfers."""
    return {
        current: {
            "archives": [each.name for each in _archives(node, current)],
            "leftovers": [each.name for each in _leftovers(node, current)],
        }
        for current in questions
    }


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    current = node.at(item["current"])
    node.before("mark " + item["current"])
    os.utime(current)
    old = [each for each in _archives(node, item["current"]) if each != current][item["keep"] :]
    deleted: list[str] = []
    for path in [*old, *_leftovers(node, item["current"])]:
        node.before(f"delete {path.name}")
        if path.is_dir():
            shutil.rmtree(path)
            with contextlib.suppress(FileNotFoundError):
                node.state_path(record_name(path.name)).unlink()
        else:
            path.unlink()
        deleted.append(f"deleted {path.name}")
    return deleted or [f"marked {item['current']} as current"]


def _archives(node: Node, current: str) -> list[Path]:
    directories = [each for each in _children(node.at(current).parent) if _ARCHIVE.match(each.name)]
    return sorted(directories, key=lambda each: each.stat().st_mtime, reverse=True)


def _leftovers(node: Node, current: str) -> list[Path]:
    """Directories that `unpack` did not complete, and parts that `receive` did not complete."""
    incomplete = [each for each in _children(node.at(current).parent) if _INCOMPLETE.match(each.name)]
    return [*incomplete, *_children(node.state_path(INCOMING))]


def _children(directory: Path) -> list[Path]:
    """Without links: `current` is one."""
    if not directory.is_dir():
        return []
    return sorted(each for each in directory.iterdir() if not each.is_symlink())
