"""Directories."""

from __future__ import annotations

from typing import Any

from ..files import owner_facts, set_owner, what_is
from ..node import Node, StepError

_DIRECTORY = "a directory"


def facts(node: Node, questions: list[str]) -> dict[str, Any]:
    """Owner and mode of each directory; what the path is instead if it is something else."""
    found = {path: what_is(node.at(path)) for path in questions}
    return {
        path: owner_facts(node.at(path)) if what == _DIRECTORY else {"is": what} for path, what in found.items() if what
    }


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    for directory in items:
        node.before("directory " + directory["path"])
        target = node.at(directory["path"])
        if what_is(target) not in ("", _DIRECTORY):  # created since the plan; the owner of a link's target is not ours
            raise StepError("directory", f"{directory['path']} must be a directory (is {what_is(target)})")
        target.mkdir(parents=True, exist_ok=True)
        set_owner(target, directory)


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    """Delete the directory if it is empty. Data and logs are kept."""
    target = node.at(item["path"])
    if what_is(target) != _DIRECTORY or any(target.iterdir()):
        return []
    node.before("remove " + item["path"])
    target.rmdir()
    return ["removed " + item["path"]]
