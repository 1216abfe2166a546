"""Symbolic links."""

from __future__ import annotations

import contextlib
from typing import Any

from ..files import sync_directory
from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """The target of each link; "" if the path is not a link."""
    places = {path: node.at(path) for path in questions}
    return {
        path: str(place.readlink()) if place.is_symlink() else ""
        for path, place in places.items()
        if place.is_symlink() or place.exists()
    }


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    place = node.at(item["path"])
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.tandem")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    new.symlink_to(item["target"])
    node.before("link " + item["path"])
    new.replace(place)
    sync_directory(node, place.parent)
    return [f"linked {item['path']} to {item['target']}"]
