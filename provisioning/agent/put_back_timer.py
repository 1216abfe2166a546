"""Puts this node back into service if the run that took a node out of service is killed.

A transient timer of systemd, renewed by each `drain` and `leave` on this node, runs a copy of the agent. After a reboot
the drain has ended, and the next rollout restores the upstreams.
"""

from __future__ import annotations

import json

from .drained import drained_routers
from .node import Node

AFTER_S = 900  # longer than any step: a resized instance boots and passes its health checks within 5 minutes
REPEAT_S = 60  # until the node that is out of service serves again
UNIT = "tandem-put-back"
PROGRAM = "/run/tandem/agent.zip"
DRAIN_CONF = "/run/tandem/nginx-drain.conf"
KEPT_OUT = "/run/tandem/kept-out.json"  # the node that an operator has taken out of service, and until when

_RUN = f"""
import sys
sys.path.insert(0, "{PROGRAM}")
from agent.calls import answer
from agent.node import Node
answered = answer(Node(), {{"operations": [{{"do": "put_back"}}]}})
sys.exit(str(answered["error"]) if "error" in answered else 0)
"""


def stay_out(node: Node, *, name: str, seconds: int) -> None:
    """Keep what this node has marked or drained for longer than a rollout needs. Does nothing if it has nothing.

    `name` is the node that an operator has taken out of service.
    """
    if _has_something(node):
        start(node, seconds)
        node.at(KEPT_OUT).write_text(json.dumps({"node": name, "until": node.wall_clock() + seconds}))


def start(node: Node, after_s: int = AFTER_S) -> None:
    """Start the timer, or restart it. The caller has not changed anything yet, so a failure leaves nothing behind."""
    node.at(KEPT_OUT).unlink(missing_ok=True)
    program = node.at(PROGRAM)
    program.parent.mkdir(parents=True, exist_ok=True)
    new = program.with_name(program.name + ".new")
    new.write_bytes(node.program())
    new.replace(program)
    node.run(["systemctl", "stop", f"{UNIT}.timer"])
    node.run_checked(
        "timer",
        ["systemd-run", "--quiet", "--collect", f"--unit={UNIT}", f"--on-active={after_s}",
         f"--on-unit-active={REPEAT_S}", "--timer-property=AccuracySec=1s", "python3", "-I", "-c", _RUN],
    )  # fmt: skip


def runs(node: Node) -> bool:
    """Whether the timer waits to put a node back. A switchover that leaves its node drained stops it."""
    return node.at(PROGRAM).exists()


def stop_if_done(node: Node) -> None:
    """Stop the timer if this node has nothing left to put back."""
    if not _has_something(node):
        stop(node)


def stop(node: Node) -> None:
    node.at(KEPT_OUT).unlink(missing_ok=True)
    if runs(node):
        node.run(["systemctl", "stop", f"{UNIT}.timer"])
        node.at(PROGRAM).unlink()


def _has_something(node: Node) -> bool:
    paths = (node.at(DRAIN_CONF), node.state_path("upstreams.upstreams.conf"))
    return bool(drained_routers(node)) or any(path.exists() for path in paths)
