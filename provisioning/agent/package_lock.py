"""Runs a package manager, again while another process holds one of its locks."""

from __future__ import annotations

import re
from typing import Any

from .node import Node, Result

LOCK_WAIT_S = 600.0
REPORT_EVERY_S = 15.0


def run_when_free(
    node: Node, manager: str, argv: list[str], held: re.Pattern[str], *, timeout_s: float, env: dict[str, Any]
) -> Result:
    """The result of the command. `held` matches the line of its error output that names a lock held by another."""
    began, reported = node.now(), None
    while True:
        result = node.run(argv, timeout_s=timeout_s, env=env)
        other = held.search(result.err) if result.code else None
        if not other or node.now() - began > LOCK_WAIT_S:
            return result
        if reported is None or node.now() - reported >= REPORT_EVERY_S:
            reported = node.now()
            node.progress(f"waiting for another {manager}: {other.group().strip()}")
        node.sleep(3)
