"""Units that must keep running."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..results import fail, ok


def check(node: Node, item: dict[str, Any]) -> list[dict[str, Any]]:
    unit, run_s = item["unit"], item["run_s"]
    shown = node.run(
        ["systemctl", "show", "--property", "ActiveState,SubState,ActiveEnterTimestampMonotonic", unit]
    ).out
    state = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    look_at = f"journalctl -u {unit}"
    if state.get("ActiveState") != "active":
        return [fail(unit, f"{state.get('ActiveState')} ({state.get('SubState')}), must run", look_at)]
    ran_s = node.uptime_s() - int(state.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    if ran_s < run_s:
        return [fail(unit, f"runs for {ran_s:.0f} s, must run for {run_s} s without a restart", look_at)]
    return [ok("runs", unit)]
