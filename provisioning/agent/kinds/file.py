"""Text files."""

from __future__ import annotations

from typing import Any

from ..files import owner_facts, remove_file, replace_with_staged, sha256_of, what_is
from ..node import Node

TEXT_LIMIT = 256 * 1024  # a larger file is compared by its checksum only


def facts(node: Node, questions: list[dict[str, str]]) -> dict[str, Any]:
    """Owner, mode and checksum; also the text if the checksum differs from the one in the question.

    Otherwise what the path is instead of a file.
    """
    return {question["path"]: _fact(node, **question) for question in questions}


def _fact(node: Node, path: str, sha256: str) -> dict[str, Any] | None:
    target = node.at(path)
    what = what_is(target)
    if not what:
        return None
    if what != "a file":
        return {"sha256": "", "is": what}
    fact: dict[str, Any] = {"sha256": sha256_of(target), **owner_facts(target)}
    if fact["sha256"] != sha256 and target.stat().st_size <= TEXT_LIMIT:
        fact["text"] = target.read_text(errors="replace")
    return fact


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    replace_with_staged(node, item)
    return ["wrote " + item["path"]]


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    """Delete the file, or restore the one of the distribution that it had replaced."""
    return remove_file(node, item["path"])
