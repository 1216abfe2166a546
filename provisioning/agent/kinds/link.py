"""Symbolic links."""

from __future__ import annotations

import contextlib
from typing import Any

from ..files import sync_directory
from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """The target of each link; "" if the path is not a link."""
    files = {path: node.at(path) for path in questions}
    return {
        path: str(file.readlink()) if file.is_symlink() else ""
        for path, file in files.items()
        if file.is_symlink() or file.exists()
    }


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    link = node.at(item["path"])
    link.parent.mkdir(parents=True, exist_ok=True)
    new = link.with_name(f".{link.name}.tandem")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    new.symlink_to(item["target"])
    node.before("link " + item["path"])
    new.replace(link)
    sync_directory(node, link.parent)
    return [f"linked {item['path']} to {item['target']}"]


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    link = node.at(item["path"])
    if not link.is_symlink():
        return []
    node.before("remove " + item["path"])
    link.unlink()
    return ["removed " + item["path"]]
