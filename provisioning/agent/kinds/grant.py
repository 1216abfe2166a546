"""MariaDB privileges."""

from __future__ import annotations

import re
from typing import Any

from ..mariadb import account, escape_pattern, query, run
from ..node import Node


def facts(node: Node, questions: list[dict[str, str]]) -> dict[str, dict[str, list[str]]]:
    """The privileges by account and database."""
    return {f"{each['user']}@{each['host']}": _grants(node, each["user"], each["host"]) for each in questions}


def _grants(node: Node, user: str, host: str) -> dict[str, list[str]]:
    result = query(node, f"SHOW GRANTS FOR {account(user, host)};")
    found = re.findall(r"^GRANT (.+?) ON `([^`]+)`\.\* TO", result.out, re.MULTILINE)
    return {
        database.replace(r"\_", "_"): sorted(name.strip() for name in names.split(",")) for names, database in found
    }


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    account_name, database = account(item["user"], item["host"]), item["database"]
    target = f"`{escape_pattern(database)}`.*"
    privileges = sorted(item["privileges"])
    node.before(f"grant {account_name}")
    run(node, f"GRANT {', '.join(privileges)} ON {target} TO {account_name};")
    # Revoke after granting, so that the services never lack a privilege.
    has = _grants(node, item["user"], item["host"]).get(database, [])
    surplus = [right for right in has if right not in privileges]
    if surplus:
        run(node, f"REVOKE {', '.join(surplus)} ON {target} FROM {account_name};")
    return [f"granted {', '.join(privileges)} on {database} to {account_name}"]


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    account_name, database = account(item["user"], item["host"]), item["database"]
    has = _grants(node, item["user"], item["host"]).get(database, [])
    if not has:
        return []
    node.before(f"revoke {account_name}")
    run(node, f"REVOKE {', '.join(has)} ON `{escape_pattern(database)}`.* FROM {account_name};")
    return [f"revoked {', '.join(has)} on {database} from {account_name}"]
