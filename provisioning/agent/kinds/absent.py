"""Files and links that must not exist."""

from __future__ import annotations

from typing import Any

from ..files import exist, remove_file
from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, bool]:
    return exist(node, questions)


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    return remove_file(node, item["path"])
