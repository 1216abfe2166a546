"""MariaDB, through its local socket as root."""

from __future__ import annotations

import re

from .node import Node, Result, StepError


def ask(node: Node, statements: str, database: str = "") -> Result:
    """Run statements; the result may be a failure, for example of a MariaDB that is not installed."""
    argv = ["mariadb", "--batch", "--skip-column-names", "--raw", *([database] if database else [])]
    return node.run(argv, text=statements)


def rows(node: Node, statement: str) -> dict[str, str]:
    """The rows of a SELECT with two columns; none where MariaDB does not run: then nothing of it is there yet."""
    told = ask(node, statement)
    pairs = (row.partition("\t") for row in told.out.splitlines())
    return {name: value for name, _, value in pairs} if told.code == 0 else {}


def run(node: Node, statements: str, database: str = "") -> None:
    """Raises StepError when they fail."""
    told = ask(node, statements, database)
    if told.code:
        raise StepError("mariadb", f"mariadb failed with exit code {told.code}", told.err or told.out)


def account(user: str, host: str) -> str:
    for part in (user, host):
        if re.search(r"['\\`\s]", part):
            raise StepError("mariadb", f"{part!r} is no name for an account")
    return f"'{user}'@'{host}'"
