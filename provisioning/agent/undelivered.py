"""Whether receivers of notifications have confirmed the events (programs/notifier has the queues)."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from .node import Node
from .results import ok, warning

QUEUES = "/var/lib/tandem/notifications"
_LATE_S = 300.0


def check(node: Node) -> list[dict[str, Any]]:
    """One result for each receiver; none without receivers."""
    folder = node.at(QUEUES)
    found: list[dict[str, Any]] = []
    for queue in sorted(folder.iterdir()) if folder.exists() else []:
        waiting = _times(queue)
        waited_s = node.wall_clock() - min(waiting) if waiting else 0.0
        if waited_s > _LATE_S:
            seen = (
                f"{queue.name}: {len(waiting)} events are not confirmed, the oldest since {waited_s / 60:.0f} minutes"
            )
            found.append(warning("notifications", seen, "journalctl -u tandem-notify"))
        else:
            found.append(ok("notifications", f"{queue.name}: confirmed"))
    return found


def _times(queue: Path) -> list[float]:
    """When each event of a queue was recorded. The notifier deletes events meanwhile."""
    found: list[float] = []
    for path in queue.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            found.append(path.stat().st_mtime)
    return found
