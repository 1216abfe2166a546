"""Puts this node back into service without an operator. put_back_timer.py calls it."""

from __future__ import annotations

from .change_lock import between_calls
from .drain import end_drain
from .node import Node
from .upstreams import join_if_served


def put_back(node: Node) -> None:
    """End the drain, and the marks of servers that respond. Needs no change lock: its owner was killed."""
    with between_calls(node):
        end_drain(node)
        join_if_served(node)
