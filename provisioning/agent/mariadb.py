"""Access to MariaDB as root through its local socket."""

from __future__ import annotations

import re

from .node import Node, Result, StepError


def query(node: Node, statements: str, database: str = "") -> Result:
    """Run statements. The result may be a failure, for example if MariaDB is not installed."""
    argv = ["mariadb", "--batch", "--skip-column-names", "--raw", *([database] if database else [])]
    return node.run(argv, text=statements)


def query_as(node: Node, user: str, password: str, *, statements: str, database: str, timeout_s: float) -> Result:
    """Run statements as a user with a password, which is passed in the environment: only root can read it there."""
    argv = ["mariadb", "--batch", "--skip-column-names", "--raw", f"--user={user}", database]
    return node.run(argv, text=statements, timeout_s=timeout_s, env={"MYSQL_PWD": password})


def query_on(  # noqa: PLR0917 - as on the command line of the client
    node: Node, server: str, user: str, password: str, statements: str, database: str
) -> Result:
    """Run statements on another server, "HOST:PORT"."""
    host, _, port = server.rpartition(":")
    argv = ["mariadb", "--batch", "--skip-column-names", "--raw", "--connect-timeout=5", f"--host={host}"]
    argv += [f"--port={port}", "--protocol=tcp", f"--user={user}", database]
    return node.run(argv, text=statements, env={"MYSQL_PWD": password})


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


def escape_pattern(name: str) -> str:
    """The name of a database for GRANT, where `_` would match any character."""
    return name.replace("_", r"\_")


def account(user: str, host: str) -> str:
    for part in (user, host):
        if re.search(r"['\\`\s]", part):
            raise StepError("mariadb", f"account names must not contain quotes, backslashes or spaces (got {part!r})")
    return f"'{user}'@'{host}'"
