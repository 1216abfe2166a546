"""Symbolic links."""

from __future__ import annotations

from typing import Any

from ..files import beside, what_is
from ..node import Node


def facts(node: Node, questions: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """The target of each link, what the path is instead, and which needed target the node lacks."""
    found = {question["path"]: _fact(node, question) for question in questions}
    return {path: fact for path, fact in found.items() if fact}


def _fact(node: Node, question: dict[str, Any]) -> dict[str, str]:
    file, needs, fact = node.at(question["path"]), question["needs"], dict[str, str]()
    if file.is_symlink():
        fact["target"] = str(file.readlink())
    elif kind := what_is(file):
        fact["is"] = kind
    if needs is not None and not node.at(needs).is_file():
        fact["lacks"] = needs
    return fact


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
