"""systemd units."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..systemd import bring_down, bring_up, unit_facts


def facts(node: Node, questions: list[str]) -> dict[str, dict[str, bool]]:
    return unit_facts(node, questions)


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    return bring_up(node, item["name"], enabled=item["enabled"], running=item["running"])


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    return bring_down(node, item["name"])
