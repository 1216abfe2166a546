"""A URL on the node that must return a certain status, or a port that must accept connections."""

from __future__ import annotations

from typing import Any

from ..node import OUT_OF_USE, Node
from ..results import fail, ok


def check(node: Node, item: dict[str, Any]) -> list[dict[str, Any]]:
    url, status, unit = item["url"], item["status"], item["unit"]
    healthy, seen = node.is_healthy(item)
    if healthy:
        return [ok("responds", unit)]
    if seen == OUT_OF_USE:
        return [fail(f"{unit} responds", f"{url}: {seen}", f"journalctl -u tandem-health -u {unit}")]
    must = "" if url.startswith("tcp:") else f", must be {status}"
    return [fail(f"{unit} responds", f"{url}: {seen}{must}", f"journalctl -u {unit}")]
