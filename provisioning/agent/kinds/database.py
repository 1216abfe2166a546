"""MariaDB databases."""

from __future__ import annotations

from typing import Any

from ..mariadb import rows, run
from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """The comment of each database, which records the state of its schema."""
    del questions
    return rows(
        node,
        "SELECT s.schema_name, IF(s.schema_comment = '' AND EXISTS (SELECT 1 FROM information_schema.tables t"
        " WHERE t.table_schema = s.schema_name), 'other content', s.schema_comment)"
        " FROM information_schema.schemata s;",
    )


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    name, schema = item["name"], item["schema"]
    node.before("database " + name)
    run(node, f"CREATE DATABASE IF NOT EXISTS `{name}` DEFAULT CHARACTER SET utf8mb4;")
    if not schema:
        return [f"created database {name}"]
    # The comment moves with the data to another node. An interrupted load is repeated. A database with other content
    # is not changed, since a schema may begin with DROP TABLE.
    run(node, f"ALTER DATABASE `{name}` COMMENT 'schema loading by tandem';")
    node.before(f"load database {name}")
    run(node, node.at(schema).read_text(), name)
    node.before(f"mark database {name}")
    run(node, f"ALTER DATABASE `{name}` COMMENT 'schema loaded by tandem';")
    return [f"loaded {schema} into database {name}"]
