"""Directories."""

from __future__ import annotations

from typing import Any

from ..files import owner_facts, set_owner
from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, Any]:
    return {path: owner_facts(node.at(path)) for path in questions if _is_directory(node, path)}


def _is_directory(node: Node, path: str) -> bool:
    return node.at(path).is_dir() and not node.at(path).is_symlink()


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    for directory in items:
        node.before("directory " + directory["path"])
        target = node.at(directory["path"])
        target.mkdir(parents=True, exist_ok=True)
        set_owner(target, directory)


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    """Delete the directory if it is empty. Data and logs are kept."""
    target = node.at(item["path"])
    if not _is_directory(node, item["path"]) or any(target.iterdir()):
        return []
    node.before("remove " + item["path"])
    target.rmdir()
    return ["removed " + item["path"]]
