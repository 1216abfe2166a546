"""Access to MariaDB as root through its local socket."""

from __future__ import annotations

import re

from .node import Node, Result, StepError


def query(node: Node, statements: str, database: str = "") -> Result:
    """Run statements. The result may be a failure, for example if MariaDB is not installed."""
    argv = ["mariadb", "--batch", "--skip-column-names", "--raw", *([database] if database else [])]
    return node.run(argv, text=statements)


def rows(node: Node, statement: str) -> dict[str, str]:
    """The rows of a SELECT with two columns; empty if MariaDB is not running."""
    result = query(node, statement)
    pairs = (row.partition("\t") for row in result.out.splitlines())
    return {name: value for name, _, value in pairs} if result.code == 0 else {}


def run(node: Node, statements: str, database: str = "") -> None:
    """Run statements. Raises StepError if they fail."""
    result = query(node, statements, database)
    if result.code:
        raise StepError("mariadb", f"mariadb failed with exit code {result.code}", result.err or result.out)


def account(user: str, host: str) -> str:
    for part in (user, host):
        if re.search(r"['\\`\s]", part):
            raise StepError("mariadb", f"account names must not contain quotes, backslashes or spaces (got {part!r})")
    return f"'{user}'@'{host}'"
