"""SQL statements that run only if a condition does not hold."""

from __future__ import annotations

import re
from typing import Any

from ..mariadb import query, query_on
from ..node import Node, Result, StepError

# Errors that the operator must correct: access denied, an unknown database or table, no connection. After any other one
# (such as an authentication plugin that this client lacks), the services may still be able to log in.
_REFUSED = re.compile(r"ERROR (?:1044|1045|1049|1130|1146|2002|2003|2005|2013)\b")


def facts(node: Node, questions: list[dict[str, str]]) -> dict[str, bool | str]:
    """Whether the condition of each statement holds, which makes the statement unnecessary; or why it is not known."""
    return {each["name"]: _holds(node, each) for each in questions}


def _holds(node: Node, question: dict[str, str]) -> bool | str:
    result = _run(node, question["unless"], question)
    if not question["server"] or result.code in (0, 127):  # 127: the client is not installed yet
        return result.code == 0 and bool(result.out.strip())
    return result.err.strip() if _REFUSED.search(result.err) else True


def _run(node: Node, statement: str, item: dict[str, str]) -> Result:
    if item["server"]:
        return query_on(node, item["server"], item["user"], item["password"], f"{statement};\n", item["database"])
    return query(node, statement + ";\n", item["database"])


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    node.before("query " + item["name"])
    result = _run(node, item["statement"], item)
    if result.code:
        raise StepError("mariadb", f"{item['name']} failed with exit code {result.code}", result.err or result.out)
    return ["set " + item["name"]]
