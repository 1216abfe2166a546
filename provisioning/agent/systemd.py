"""systemd's units: their state, what is done to them, and what still has to follow a change.

What has to follow is kept on disk, so that a run that is killed after a change leaves it to the next one.
"""

from __future__ import annotations

from typing import Any

from .node import Node, StepError

_PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload")


def unit_facts(node: Node, units: list[str]) -> dict[str, dict[str, bool]]:
    """By unit: is it loaded, active, enabled, and does systemd have to read its files again?"""
    if not units:
        return {}
    told = node.run(["systemctl", "show", "--property", ",".join(("Id", "Names", *_PROPERTIES)), *units])
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in told.out.split("\n\n") if block]
    # systemctl answers in the order of the question, one block each.
    return {unit: _fact(block) for unit, block in zip(units, blocks)}  # noqa: B905 - Python 3.9 has no strict


def _fact(shown: dict[str, str]) -> dict[str, bool]:
    return {
        "loaded": shown.get("LoadState") == "loaded",
        "active": shown.get("ActiveState") in ("active", "reloading", "activating"),
        "started": shown.get("ActiveState") == "active",
        "enabled": shown.get("UnitFileState") in ("enabled", "enabled-runtime", "static", "alias", "generated"),
        "needs_daemon_reload": shown.get("NeedDaemonReload") == "yes",
    }


def is_started(node: Node, unit: str) -> bool:
    """Whether it is active, and not on its way there."""
    return unit_facts(node, [unit]).get(unit, {}).get("started", False)


def systemctl(node: Node, verb: str, unit: str) -> None:
    told = node.run(["systemctl", verb, unit], timeout_s=120)
    if told.code:
        journal = node.run(["journalctl", "--no-pager", "-o", "cat", "-n", "12", "-u", unit]).out
        raise StepError(f"{verb} {unit}", f"systemctl {verb} {unit} failed", f"{told.err.strip()}\n{journal}")


# ---- what still has to follow a change -------------------------------------------------------------------------------


def read_pending(node: Node) -> list[str]:
    """What still has to follow a change: "daemon-reload", "reload nginx", "restart iam-apiserver"."""
    return list(node.read_json("pending.json", []))


def merge(pending: list[str], more: list[str]) -> list[str]:
    return [*pending, *(after for after in dict.fromkeys(more) if after not in pending)]


def forget(node: Node, afters: list[str]) -> None:
    if afters:
        node.write_json("pending.json", [after for after in read_pending(node) if after not in afters])


def settle(node: Node, after: str) -> list[str]:
    """Do one of them."""
    if after == "daemon-reload":
        node.before(after)
        node.must(after, ["systemctl", "daemon-reload"])
        forget(node, [after])
        return ["systemd read its unit files again"]
    verb, unit = after.split(" ", 1)
    if is_started(node, unit):
        node.before(after)
        systemctl(node, verb, unit)
    forget(node, [after])
    return [f"{verb}ed {unit}"]


def bring_up(node: Node, unit: str, *, enabled: bool, running: bool) -> list[str]:
    """Do what is pending for a unit, then make sure that it is enabled and runs as it should."""
    state: dict[str, Any] = unit_facts(node, [unit]).get(unit, {})
    done: list[str] = []
    # systemd is asked too: the pending one may have been done for an earlier unit, before the files of this one came.
    if state.get("needs_daemon_reload") or "daemon-reload" in read_pending(node):
        done = settle(node, "daemon-reload")
        state = unit_facts(node, [unit]).get(unit, {})
    pending = [after for after in read_pending(node) if after.split(" ", 1)[-1] == unit]
    if enabled != bool(state.get("enabled")):
        node.before("enable " + unit)
        node.must(f"unit {unit}", ["systemctl", "enable" if enabled else "disable", "-q", unit])
        done.append(("enabled " if enabled else "disabled ") + unit)
    if not running:
        if state.get("active"):
            node.before("stop " + unit)
            systemctl(node, "stop", unit)
            done.append("stopped " + unit)
    elif not state.get("active"):
        node.before("start " + unit)
        node.run(["systemctl", "reset-failed", unit])  # a unit over its restart limit would refuse
        systemctl(node, "start", unit)
        done.append("started " + unit)
    elif pending:
        verb = "restart" if "restart " + unit in pending else "reload"
        node.before(f"{verb} {unit}")
        systemctl(node, verb, unit)
        done.append(f"{verb}ed {unit}")
    forget(node, pending)
    return done
