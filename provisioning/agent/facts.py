"""Gathers the observed state of the node: the facts of each kind. Changes nothing."""

from __future__ import annotations

from typing import Any

from . import applied, held_data, kinds
from .change_lock import changes_started, is_changing
from .drained import drained_routers
from .node import Node
from .previous import version_facts
from .put_back_timer import DRAIN_CONF
from .serving import addresses_held
from .systemd import read_pending


def facts(node: Node, *, questions: dict[str, list[Any]], virtual_ips: list[str]) -> dict[str, Any]:
    # Read first: a change that starts while the facts are gathered must show in a later comparison.
    changes = None if is_changing(node) else changes_started(node)
    return {
        "changes": changes,
        "answers": {kind: kinds.get(kind).facts(node, asked) for kind, asked in questions.items()},
        "addresses": addresses_held(node, virtual_ips),
        "pending": read_pending(node),
        "applied": applied.read(node),
        "removed": applied.removed(node),
        "held_data": held_data.read(node),
        "draining": bool(drained_routers(node)) or node.at(DRAIN_CONF).exists(),
        "versions": version_facts(node),
    }
