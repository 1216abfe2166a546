"""systemd units."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..systemd import bring_up, unit_facts


def facts(node: Node, questions: list[str]) -> dict[str, dict[str, bool]]:
    return unit_facts(node, questions)


def commit(node: Node, thing: dict[str, Any]) -> list[str]:
    return bring_up(node, thing["name"], enabled=thing["enabled"], running=thing["running"])
