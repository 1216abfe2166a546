"""Files and links that must not exist."""

from __future__ import annotations

import contextlib
from typing import Any

from ..files import exist
from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, bool]:
    return exist(node, questions)


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    node.before("remove " + item["path"])
    with contextlib.suppress(FileNotFoundError):
        node.at(item["path"]).unlink()
    return ["removed " + item["path"]]
