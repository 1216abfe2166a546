"""The SSH server, which distributions run as a service or by a socket."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..systemd import bring_up, read_pending, settle, unit_facts


def facts(node: Node, questions: list[str]) -> dict[str, bool]:
    """Whether the SSH server is enabled and runs, as a service or by a socket."""
    return {service: bool(_works(node, service)) for service in questions}


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    service = item["service"]
    if f"{service}.socket" not in _works(node, service):
        return bring_up(node, service, enabled=True, running=True)
    done: list[str] = []
    for action in read_pending(node):
        if action.split(" ", 1)[-1] == service:
            done += settle(node, action)  # does nothing if each connection has a separate sshd
    return done


def _works(node: Node, service: str) -> list[str]:
    """Those of the service and its socket that are enabled and run."""
    units = unit_facts(node, [service, f"{service}.socket"])
    return [unit for unit, fact in units.items() if fact["enabled"] and fact["started"]]
