"""Directories."""

from __future__ import annotations

from typing import Any

from ..files import own, owner_facts
from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, Any]:
    return {path: owner_facts(node.at(path)) for path in questions if _is_directory(node, path)}


def _is_directory(node: Node, path: str) -> bool:
    return node.at(path).is_dir() and not node.at(path).is_symlink()


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    for directory in items:
        node.before("directory " + directory["path"])
        place = node.at(directory["path"])
        place.mkdir(parents=True, exist_ok=True)
        own(place, directory)
