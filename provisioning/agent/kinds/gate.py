"""A URL on the node that must return a certain status."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..results import fail, ok


def check(node: Node, item: dict[str, Any]) -> list[dict[str, Any]]:
    url, status, unit = item["url"], item["status"], item["unit"]
    seen = node.probe(url)
    if seen == str(status):
        return [ok("responds", unit)]
    return [fail(f"{unit} responds", f"{url}: {seen}, must be {status}", f"journalctl -u {unit}")]
