"""SQL statements that are run once."""

from __future__ import annotations

from typing import Any

from ..mariadb import ask, run
from ..node import Node


def facts(node: Node, questions: list[dict[str, str]]) -> dict[str, bool]:
    """Whether the condition of each holds, which makes it unnecessary."""
    return {asked["name"]: _holds(node, asked["unless"], asked["database"]) for asked in questions}


def _holds(node: Node, unless: str, database: str) -> bool:
    told = ask(node, unless + ";\n", database)
    return told.code == 0 and bool(told.out.strip())


def commit(node: Node, thing: dict[str, Any]) -> list[str]:
    node.before("query " + thing["name"])
    run(node, thing["statement"] + ";\n", thing["database"])
    return ["set " + thing["name"]]
