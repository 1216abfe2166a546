"""Gathers the observed state of the node: the facts of each kind. Changes nothing."""

from __future__ import annotations

from typing import Any

from . import kinds
from .node import Node
from .previous import version_facts
from .serving import DRAIN_CONF, DRAIN_MARK, addresses_held
from .systemd import read_pending


def facts(node: Node, *, questions: dict[str, list[Any]], virtual_ips: list[str]) -> dict[str, Any]:
    return {
        "answers": {kind: kinds.get(kind).facts(node, asked) for kind, asked in questions.items()},
        "addresses": addresses_held(node, virtual_ips),
        "pending": read_pending(node),
        "draining": node.at(DRAIN_MARK).exists() or node.at(DRAIN_CONF).exists(),
        "versions": version_facts(node),
    }
