"""MariaDB accounts."""

from __future__ import annotations

from typing import Any

from ..mariadb import account, rows, run
from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """The hash of each one's password."""
    del questions
    return rows(node, "SELECT CONCAT(user, '@', host), authentication_string FROM mysql.user;")


def commit(node: Node, thing: dict[str, Any]) -> list[str]:
    who = account(thing["user"], thing["host"])
    node.before(f"account {who}")
    hashed = f"IDENTIFIED VIA mysql_native_password USING '{thing['password_hash']}'"
    run(node, f"CREATE USER IF NOT EXISTS {who} {hashed}; ALTER USER {who} {hashed};")
    return [f"set account {who}"]
