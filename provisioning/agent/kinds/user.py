"""System users."""

from __future__ import annotations

from typing import Any

from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, dict[str, str]]:
    """Home directory and shell of each user that exists."""
    # Not with the module pwd, which would not read the passwd file below a test's root.
    rows = (line.split(":") for line in node.read("/etc/passwd").splitlines())
    return {row[0]: {"home": row[5], "shell": row[6]} for row in rows if row[0] in questions and len(row) > 6}  # noqa: PLR2004 - passwd(5)


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    for user in items:
        node.before("user " + user["name"])
        present = facts(node, [user["name"]]).get(user["name"])
        changed = [key for key in ("home", "shell") if present and present[key] != user[key]]
        if present is None:
            command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", user["home"],
                       "--shell", user["shell"]]  # fmt: skip
        else:
            command = ["usermod", *(word for key in changed for word in (f"--{key}", user[key]))]
        if not present or changed:
            node.run_checked(f"user {user['name']}", [*command, user["name"]])


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    name = item["name"]
    if name not in facts(node, [name]):
        return []
    node.before("remove user " + name)
    node.run_checked(f"user {name}", ["userdel", name])
    return ["removed user " + name]
