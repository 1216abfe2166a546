"""Directories that begin as a copy of another one."""

from __future__ import annotations

import shutil
from typing import Any

from ..files import exist
from ..node import Node
from ..systemd import is_started, systemctl


def facts(node: Node, questions: list[str]) -> dict[str, bool]:
    return exist(node, questions)


def commit(node: Node, thing: dict[str, Any]) -> list[str]:
    place, source = node.at(thing["path"]), node.at(thing["source"])
    if place.exists():
        return []
    node.before("copy " + thing["path"])
    if is_started(node, thing["unit"]):
        systemctl(node, "stop", thing["unit"])
    near = place.with_name(f".{place.name}.tandem")
    shutil.rmtree(near, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    # cp keeps owners, modes and times of a whole tree; shutil would lose the owners.
    node.must(f"copy {thing['path']}", ["cp", "-a", str(source), str(near)])
    node.must(f"copy {thing['path']}", ["sync", "-f", str(near)])
    near.rename(place)
    return [f"copied {thing['source']} to {thing['path']}"]
