"""systemd timers: a unit file and its unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..files import owner_facts, remove_file, replace_with_staged, sha256_of, what_is
from ..node import Node
from ..systemd import bring_down, bring_up, unit_facts


def facts(node: Node, questions: list[str]) -> dict[str, dict[str, Any]]:
    files = {unit: node.at(f"/etc/systemd/system/{unit}") for unit in questions}
    return {unit: {**fact, **_file_fact(files[unit])} for unit, fact in unit_facts(node, questions).items()}


def _file_fact(file: Path) -> dict[str, Any]:
    what = what_is(file)
    return {"sha256": sha256_of(file), **owner_facts(file)} if what == "a file" else {"sha256": "", "is": what}


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    replace_with_staged(node, item)
    return ["wrote " + item["path"], *bring_up(node, item["unit"], enabled=True, running=True)]


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    return [*bring_down(node, item["unit"]), *remove_file(node, item["path"])]
