"""Symbolic links."""

from __future__ import annotations

import contextlib
from typing import Any

from ..files import sync_directory
from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """The target of each; "" for something else at its place."""
    places = {path: node.at(path) for path in questions}
    return {
        path: str(place.readlink()) if place.is_symlink() else ""
        for path, place in places.items()
        if place.is_symlink() or place.exists()
    }


def commit(node: Node, thing: dict[str, Any]) -> list[str]:
    place = node.at(thing["path"])
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.tandem")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    new.symlink_to(thing["target"])
    node.before("link " + thing["path"])
    new.replace(place)
    sync_directory(node, place.parent)
    return [f"linked {thing['path']} to {thing['target']}"]
