"""systemd timers: a unit file and its unit."""

from __future__ import annotations

from typing import Any

from ..files import remove_file, replace_with_staged, sha256_of
from ..node import Node
from ..systemd import bring_down, bring_up, unit_facts


def facts(node: Node, questions: list[str]) -> dict[str, dict[str, Any]]:
    files = {unit: node.at(f"/etc/systemd/system/{unit}") for unit in questions}
    return {
        unit: {**fact, "sha256": sha256_of(files[unit]) if files[unit].is_file() else ""}
        for unit, fact in unit_facts(node, questions).items()
    }


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    replace_with_staged(node, item)
    return ["wrote " + item["path"], *bring_up(node, item["unit"], enabled=True, running=True)]


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    return [*bring_down(node, item["unit"]), *remove_file(node, item["path"])]
