"""System users."""

from __future__ import annotations

from typing import Any

from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, bool]:
    # Read by hand: the node of a test has a passwd file that the C library would not look at.
    known = {line.split(":", 1)[0] for line in node.read("/etc/passwd").splitlines()}
    return {name: name in known for name in questions}


def prepare(node: Node, things: list[dict[str, Any]]) -> None:
    for user in things:
        node.before("user " + user["name"])
        node.must(
            f"user {user['name']}",
            ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", user["home"],
             "--shell", "/usr/sbin/nologin", user["name"]],
        )  # fmt: skip
