"""The node's part of a drill: the scripts of its faults, and what the units logged meanwhile."""

from __future__ import annotations

import json
from typing import Any

from .node import Node

UNITS = ("keepalived", "nginx", "tandem-health", "tandem-events")
# Of these only what systemd says about them: they write a line for each request.
SERVICES = ("iam-apiserver", "iam-authz-server", "mariadb", "redis-server", "redis")
LONGEST_LOG = 400  # lines
_MARGIN_S = 1.0  # for the time of the call


def run_script(node: Node, *, script: str, deadline_s: float) -> dict[str, Any]:
    """Run a shell script. Returns its start (seconds since the epoch), duration, exit code and output."""
    at, began = node.wall_clock(), node.now()
    result = node.run(["sh", "-c", script], timeout_s=deadline_s)
    return {"at": at, "took_s": node.now() - began, "code": result.code, "out": (result.out + result.err).strip()}


def journal(node: Node, *, for_s: float) -> dict[str, Any]:
    """The log lines (time, unit, text) of the last `for_s` seconds of the units that take part in failovers.

    Also returns the node's time at the start of the call, since the operator's clock may differ.
    """
    at = node.wall_clock()
    own = [f"_SYSTEMD_UNIT={unit}.service" for unit in UNITS]
    about = [f"UNIT={unit}.service" for unit in (*UNITS, *SERVICES)]
    since = f"--since=@{at - for_s - _MARGIN_S:.3f}"
    result = node.run(["journalctl", "--no-pager", "--output=json", since, *own, "+", *about])
    found: list[list[Any]] = []
    for line in result.out.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        text, unit = entry.get("MESSAGE"), entry.get("UNIT") or entry.get("_SYSTEMD_UNIT") or ""
        if isinstance(text, str):  # journald writes other bytes as a list of numbers
            found.append([int(entry["__REALTIME_TIMESTAMP"]) / 1e6, unit.replace(".service", ""), text])
    return {"at": at, "lines": found[-LONGEST_LOG:]}
