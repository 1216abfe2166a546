"""Files and links that must not exist."""

from __future__ import annotations

from typing import Any

from ..files import remove_file, what_is
from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """What each path is; "" if it does not exist."""
    return {path: what_is(node.at(path)) for path in questions}


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    return remove_file(node, item["path"])
