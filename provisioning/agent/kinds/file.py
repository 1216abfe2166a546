"""Text files."""

from __future__ import annotations

from typing import Any

from ..files import owner_facts, put, sha256_of
from ..node import Node

TEXT_LIMIT = 256 * 1024  # a larger file is compared by its checksum only


def facts(node: Node, questions: list[dict[str, str]]) -> dict[str, Any]:
    """Owner, mode and checksum; also the text if the checksum differs from the one in the question."""
    return {question["path"]: _fact(node, **question) for question in questions}


def _fact(node: Node, path: str, sha256: str) -> dict[str, Any] | None:
    place = node.at(path)
    if not place.is_symlink() and not place.exists():
        return None
    if place.is_symlink() or not place.is_file():
        return {"sha256": ""}
    fact: dict[str, Any] = {"sha256": sha256_of(place), **owner_facts(place)}
    if fact["sha256"] != sha256 and place.stat().st_size <= TEXT_LIMIT:
        fact["text"] = place.read_text(errors="replace")
    return fact


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    put(node, item)
    return ["wrote " + item["path"]]
