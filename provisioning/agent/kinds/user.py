"""System users."""

from __future__ import annotations

from typing import Any

from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, bool]:
    # Not with the module pwd, which would not read the passwd file below a test's root.
    known = {line.split(":", 1)[0] for line in node.read("/etc/passwd").splitlines()}
    return {name: name in known for name in questions}


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    for user in items:
        node.before("user " + user["name"])
        node.run_checked(
            f"user {user['name']}",
            ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", user["home"],
             "--shell", user["shell"], user["name"]],
        )  # fmt: skip


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    name = item["name"]
    if not facts(node, [name])[name]:
        return []
    node.before("remove user " + name)
    node.run_checked(f"user {name}", ["userdel", name])
    return ["removed user " + name]
