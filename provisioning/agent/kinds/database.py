"""MariaDB databases."""

from __future__ import annotations

from typing import Any

from ..mariadb import rows, run
from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """The comment of each, which marks the state of its schema."""
    del questions
    return rows(
        node,
        "SELECT s.schema_name, IF(s.schema_comment = '' AND EXISTS (SELECT 1 FROM information_schema.tables t"
        " WHERE t.table_schema = s.schema_name), 'filled by somebody else', s.schema_comment)"
        " FROM information_schema.schemata s;",
    )


def commit(node: Node, thing: dict[str, Any]) -> list[str]:
    name, schema = thing["name"], thing["schema"]
    node.before("database " + name)
    run(node, f"CREATE DATABASE IF NOT EXISTS `{name}` DEFAULT CHARACTER SET utf8mb4;")
    if not schema:
        return [f"created database {name}"]
    # The mark travels with the data, onto another node too. A load that was cut off is repeated; a database
    # that somebody else filled is left alone, since a schema may begin by dropping its tables.
    run(node, f"ALTER DATABASE `{name}` COMMENT 'schema loading by tandem';")
    node.before(f"load database {name}")
    run(node, node.at(schema).read_text(), name)
    node.before(f"mark database {name}")
    run(node, f"ALTER DATABASE `{name}` COMMENT 'schema loaded by tandem';")
    return [f"loaded {schema} into database {name}"]
