"""The SSH server, which distributions run as a service or by a socket."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..systemd import bring_up, read_pending, settle, unit_facts

_SERVICE, _SOCKET = "ssh", "ssh.socket"


def facts(node: Node, questions: list[str]) -> dict[str, bool]:
    """Whether the SSH server is enabled and runs, as a service or by a socket."""
    del questions
    return {_SERVICE: bool(_works(node))}


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    del item
    if _SOCKET not in _works(node):
        return bring_up(node, _SERVICE, enabled=True, running=True)
    done: list[str] = []
    for action in read_pending(node):
        if action.split(" ", 1)[-1] == _SERVICE:
            done += settle(node, action)  # does nothing if each connection has a separate sshd
    return done


def _works(node: Node) -> list[str]:
    """Those of the two units that are enabled and run."""
    return [unit for unit, fact in unit_facts(node, [_SERVICE, _SOCKET]).items() if fact["enabled"] and fact["started"]]
