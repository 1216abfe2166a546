"""Waits for cloud-init, which may still write package sources and install packages after sshd has started."""

from __future__ import annotations

import json

from .node import Node, StepError

DEADLINE_S = 600.0
REPORT_EVERY_S = 10.0
_LAST_UNIT = "cloud-final.service"
_RESULT = "/run/cloud-init/result.json"  # written at the end of the boot's last stage
_STATUS = "/run/cloud-init/status.json"


def wait_until_finished(node: Node) -> None:
    """Wait until cloud-init has finished this boot. Raises StepError after `DEADLINE_S` seconds."""
    began = reported = node.now()
    while _is_running(node):
        waited = node.now() - began
        if waited > DEADLINE_S:
            raise StepError(
                "cloud-init",
                f"cloud-init has not finished its stage {_stage(node)} within {DEADLINE_S:.0f} s; "
                "look at /var/log/cloud-init-output.log on the node",
            )
        if waited == 0 or node.now() - reported >= REPORT_EVERY_S:
            reported = node.now()
            node.progress(f"waiting for cloud-init, stage {_stage(node)}, for {waited:.0f} s")
        node.sleep(0.5)


def _is_running(node: Node) -> bool:
    """Whether the last stage runs or is going to run. After a failure in an earlier stage, it still runs."""
    if not node.at(_STATUS).exists() or node.at(_RESULT).exists():
        return False
    shown = node.run(["systemctl", "show", "--property", "Job,ActiveState", _LAST_UNIT]).out
    properties = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    return properties.get("ActiveState") == "activating" or properties.get("Job", "0") not in ("", "0")


def _stage(node: Node) -> str:
    try:
        return str(json.loads(node.read(_STATUS))["v1"]["stage"])
    except (ValueError, KeyError, TypeError):
        return "unknown"
