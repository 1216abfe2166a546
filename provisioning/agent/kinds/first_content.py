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
    target, source = node.at(item["path"]), node.at(item["source"])
    if target.exists():
        return []
    node.before("copy " + item["path"])
    if is_started(node, item["unit"]):
        systemctl(node, "stop", item["unit"])
    temporary = target.with_name(f".{target.name}.tandem")
    shutil.rmtree(temporary, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    # cp -a keeps owners; shutil.copytree does not.
    node.run_checked(f"copy {item['path']}", ["cp", "-a", str(source), str(temporary)])
    node.run_checked(f"copy {item['path']}", ["sync", "-f", str(temporary)])
    temporary.rename(target)
    return [f"copied {item['source']} to {item['path']}"]
