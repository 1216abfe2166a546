"""Accounts of this node on a MariaDB or MySQL server outside the group.

The statements are those that both servers know, so a password is sent as text, over the connection to the server.
"""

from __future__ import annotations

from typing import Any

from ..mariadb import account, escape_pattern, query_on
from ..node import Node, Result, StepError

_NOT_INSTALLED = 127  # the client, before the first rollout


def facts(node: Node, questions: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Why this node cannot log in ("" if it can), and why the administrator could not change that."""
    return {each["user"]: _fact(node, each) for each in questions}


def _fact(node: Node, item: dict[str, Any]) -> dict[str, str]:
    login = query_on(node, item["server"], item["user"], item["password"], "SELECT 1;\n", item["database"])
    if login.code in (0, _NOT_INSTALLED):
        return {"account": "" if login.code == 0 else "not known"}
    administrator = _as_administrator(node, item, "SELECT 1;\n")
    return {"account": login.err.strip(), "administrator": administrator.err.strip() if administrator.code else ""}


def _as_administrator(node: Node, item: dict[str, Any], statements: str) -> Result:
    return query_on(
        node, item["server"], item["administrator"], item["administrator_password"], statements, "information_schema"
    )


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    name = account(item["user"], item["host"])
    identified = f"IDENTIFIED BY '{_escape(item['password'])}'"
    target = f"`{escape_pattern(item['database'])}`.*"
    node.before(f"account {name}")
    # An empty mode: backslashes are escapes.
    statements = (
        f"SET SESSION sql_mode = '';\nCREATE USER IF NOT EXISTS {name} {identified};\nALTER USER {name} {identified};\n"
        f"GRANT {', '.join(sorted(item['privileges']))} ON {target} TO {name};\n"
    )
    result = _as_administrator(node, item, statements)
    if result.code:
        message = f"{item['administrator']} cannot create the account {name} on {item['server']}"
        raise StepError("mariadb", message, result.err)
    return [f"set account {name} on {item['server']}"]


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    name = account(item["user"], item["host"])
    if "administrator" not in item:  # the manifest names no administrator any more
        return [f"kept account {name} on {item['server']}, since no administrator is given"]
    node.before(f"drop account {name}")
    result = _as_administrator(node, item, f"DROP USER IF EXISTS {name};\n")
    if result.code:
        raise StepError("mariadb", f"cannot drop the account {name} on {item['server']}", result.err)
    return [f"dropped account {name} on {item['server']}"]


def _escape(password: str) -> str:
    return password.replace("\\", "\\\\").replace("'", "\\'")
