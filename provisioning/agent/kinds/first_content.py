"""Directories whose initial content is a copy of another directory."""

from __future__ import annotations

import os
from typing import Any

from ..files import beside, what_is
from ..node import Node
from ..systemd import is_started, systemctl


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """What each path is, "" if it does not exist; a link without a target is not a directory with content."""
    found = {path: what_is(node.at(path)) for path in questions}
    return {
        path: f"{what}, which does not exist" if what and not node.at(path).exists() else what
        for path, what in found.items()
    }


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    target, source = node.at(item["path"]), node.at(item["source"])
    if os.path.lexists(target):
        return []
    node.before("copy " + item["path"])
    if is_started(node, item["unit"]):
        systemctl(node, "stop", item["unit"])
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(target)
    # cp -a keeps owners; shutil.copytree does not.
    node.run_checked(f"copy {item['path']}", ["cp", "-a", str(source), str(temporary)])
    node.run_checked(f"copy {item['path']}", ["sync", "-f", str(temporary)])
    temporary.rename(target)
    return [f"copied {item['source']} to {item['path']}"]
