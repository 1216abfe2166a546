"""Tables of a MariaDB database."""

from __future__ import annotations

import re
from typing import Any

from ..mariadb import query
from ..node import Node
from ..results import fail, ok

_CREATE = re.compile(r"^\s*CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?`?(\w+)`?\s*\(", re.IGNORECASE | re.MULTILINE)


def check(node: Node, item: dict[str, Any]) -> list[dict[str, Any]]:
    """No result if the database cannot be queried: other checks report that."""
    name = item["database"]
    statement = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{name}';"  # noqa: S608 - a setting
    result = query(node, statement)
    found = {table.lower() for table in result.out.split()}
    if result.code:
        return []
    lost = [table for table in _CREATE.findall(node.read(item["schema"])) if table.lower() not in found]
    if not lost:
        return [ok("databases", f"tables of {name}")]
    seen = f"missing: {', '.join(lost)}"
    return [fail(f"tables of {name}", seen, "tandem backups; `tandem restore` replaces the database by a backup")]
