"""Symbolic links."""

from __future__ import annotations

from typing import Any

from ..files import beside, what_is
from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, dict[str, str]]:
    """The target of each link; what the path is instead if it is something else."""
    files = {path: node.at(path) for path in questions}
    return {
        path: {"target": str(file.readlink())} if file.is_symlink() else {"is": what_is(file)}
        for path, file in files.items()
        if what_is(file)
    }


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    link = node.at(item["path"])
    link.parent.mkdir(parents=True, exist_ok=True)
    new = beside(link)
    new.symlink_to(item["target"])
    node.before("link " + item["path"])
    new.replace(link)
    node.unsynced.add(link.parent)
    return [f"linked {item['path']} to {item['target']}"]


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    link = node.at(item["path"])
    if not link.is_symlink():
        return []
    node.before("remove " + item["path"])
    link.unlink()
    return ["removed " + item["path"]]
