"""The last run of a scheduled command."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..results import fail, ok

_SKIPPED = "exec-condition"  # another node holds the virtual IP


def check(node: Node, item: dict[str, Any]) -> list[dict[str, Any]]:
    unit = item["unit"]
    shown = node.run(["systemctl", "show", "--property", "Result,ExecMainStatus", f"{unit}.service"]).out
    state = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    result = state.get("Result", "")
    if result in ("success", _SKIPPED):
        return [ok("scheduled", unit)]
    seen = f"the last run failed ({result}, exit status {state.get('ExecMainStatus')})"
    return [fail(f"scheduled {unit}", seen, f"journalctl -u {unit}")]
