"""Directories whose initial content is a copy of another directory."""

from __future__ import annotations

import shutil
from typing import Any

from ..files import exist
from ..node import Node
from ..systemd import is_started, systemctl


def facts(node: Node, questions: list[str]) -> dict[str, bool]:
    return exist(node, questions)


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    place, source = node.at(item["path"]), node.at(item["source"])
    if place.exists():
        return []
    node.before("copy " + item["path"])
    if is_started(node, item["unit"]):
        systemctl(node, "stop", item["unit"])
    near = place.with_name(f".{place.name}.tandem")
    shutil.rmtree(near, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    # cp -a keeps owners; shutil.copytree does not.
    node.must(f"copy {item['path']}", ["cp", "-a", str(source), str(near)])
    node.must(f"copy {item['path']}", ["sync", "-f", str(near)])
    near.rename(place)
    return [f"copied {item['source']} to {item['path']}"]
