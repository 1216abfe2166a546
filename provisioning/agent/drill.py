"""The node's part of a drill: the scripts of its faults, and what the units logged meanwhile."""

from __future__ import annotations

import json
from typing import Any

from .node import Node

UNITS = ("keepalived", "nginx", "tandem-health", "tandem-events")
# Of these only what systemd says about them: they write a line for each request.
SERVICES = ("iam-apiserver", "iam-authz-server", "mariadb", "redis-server", "redis")
LONGEST_LOG = 400  # lines


def run_script(node: Node, *, script: str, deadline_s: float) -> dict[str, Any]:
    """Run a shell script. Returns the time before it (seconds since the epoch), its exit code and its output."""
    at = node.wall_clock()
    result = node.run(["sh", "-c", script], timeout_s=deadline_s)
    return {"at": at, "code": result.code, "out": (result.out + result.err).strip()}


def journal(node: Node, *, since: float) -> list[list[Any]]:
    """The lines of the units that decide about failovers: time, unit, text."""
    own = [f"_SYSTEMD_UNIT={unit}.service" for unit in UNITS]
    about = [f"UNIT={unit}.service" for unit in (*UNITS, *SERVICES)]
    result = node.run(["journalctl", "--no-pager", "--output=json", f"--since=@{since:.3f}", *own, "+", *about])
    found: list[list[Any]] = []
    for line in result.out.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        text, unit = entry.get("MESSAGE"), entry.get("UNIT") or entry.get("_SYSTEMD_UNIT") or ""
        if isinstance(text, str):  # journald writes other bytes as a list of numbers
            found.append([int(entry["__REALTIME_TIMESTAMP"]) / 1e6, unit.replace(".service", ""), text])
    return found[-LONGEST_LOG:]
