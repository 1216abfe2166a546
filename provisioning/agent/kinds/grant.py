"""MariaDB privileges, as MariaDB words them."""

from __future__ import annotations

import re
from typing import Any

from ..mariadb import account, ask, run
from ..node import Node


def facts(node: Node, questions: list[dict[str, str]]) -> dict[str, dict[str, list[str]]]:
    """By account and database."""
    return {f"{asked['user']}@{asked['host']}": _grants(node, asked["user"], asked["host"]) for asked in questions}


def _grants(node: Node, user: str, host: str) -> dict[str, list[str]]:
    told = ask(node, f"SHOW GRANTS FOR {account(user, host)};")
    found = re.findall(r"^GRANT (.+?) ON `([^`]+)`\.\* TO", told.out, re.MULTILINE)
    return {database: sorted(right.strip() for right in rights.split(",")) for rights, database in found}


def commit(node: Node, thing: dict[str, Any]) -> list[str]:
    who, database = account(thing["user"], thing["host"]), thing["database"]
    wanted = sorted(thing["privileges"])
    node.before(f"grant {who}")
    run(node, f"GRANT {', '.join(wanted)} ON `{database}`.* TO {who};")
    # What is too much goes after what was missing came: the services never stand without their rights.
    has = _grants(node, thing["user"], thing["host"]).get(database, [])
    surplus = [right for right in has if right not in wanted]
    if surplus:
        run(node, f"REVOKE {', '.join(surplus)} ON `{database}`.* FROM {who};")
    return [f"granted {', '.join(wanted)} on {database} to {who}"]
