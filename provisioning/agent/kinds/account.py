"""MariaDB accounts."""

from __future__ import annotations

from typing import Any

from ..mariadb import account, rows, run
from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """The password hash of each account."""
    del questions
    return rows(node, "SELECT CONCAT(user, '@', host), authentication_string FROM mysql.user;")


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    account_name = account(item["user"], item["host"])
    node.before(f"account {account_name}")
    hashed = f"IDENTIFIED VIA mysql_native_password USING '{item['password_hash']}'"
    run(node, f"CREATE USER IF NOT EXISTS {account_name} {hashed}; ALTER USER {account_name} {hashed};")
    return [f"set account {account_name}"]


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    account_name = account(item["user"], item["host"])
    if f"{item['user']}@{item['host']}" not in facts(node, []):
        return []
    node.before(f"drop account {account_name}")
    run(node, f"DROP USER IF EXISTS {account_name};")
    return [f"dropped account {account_name}"]
