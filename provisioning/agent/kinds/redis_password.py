"""Passwords that Redis accepts."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..redis import accepted, owner_difference, set_accepted


def facts(node: Node, questions: list[dict[str, Any]]) -> dict[str, Any]:
    """The hashes of the accepted passwords: in the file, and in the running server (None: it does not run).

    Also what is wrong with the owner or the mode of the file; "" if nothing.
    """
    in_file, live = accepted(node, **questions[0])
    return {"file": in_file, "live": live, "owner": owner_difference(node)}


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    set_accepted(node, item["address"], item["port"], unit=item["unit"], add=[item["hash"]])
    return ["Redis accepts the password"]


def remove(node: Node, entry: dict[str, Any]) -> list[str]:
    in_file, live = accepted(node, entry["address"], entry["port"])
    known: list[str] = [*in_file, *(live or [])]
    old = sorted({hashed for hashed in known if hashed.startswith(entry["hash"])})
    if not old:
        return []
    set_accepted(node, entry["address"], entry["port"], remove=old)
    return ["Redis no longer accepts an old password"]
