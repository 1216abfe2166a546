"""SQL statements that run only if a condition does not hold."""

from __future__ import annotations

from typing import Any

from ..mariadb import query, run
from ..node import Node


def facts(node: Node, questions: list[dict[str, str]]) -> dict[str, bool]:
    """Whether the condition of each statement holds, which makes the statement unnecessary."""
    return {each["name"]: _holds(node, each["unless"], each["database"]) for each in questions}


def _holds(node: Node, unless: str, database: str) -> bool:
    result = query(node, unless + ";\n", database)
    return result.code == 0 and bool(result.out.strip())


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    node.before("query " + item["name"])
    run(node, item["statement"] + ";\n", item["database"])
    return ["set " + item["name"]]
