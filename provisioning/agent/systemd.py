"""systemd units: their state, and the reloads and restarts that a change requires.

Pending actions are recorded on disk, so that the next run performs those of a run that was killed.
"""

from __future__ import annotations

from typing import Any

from .drop_ins import describe_foreign
from .nginx_reload import reload_nginx
from .node import Node, StepError

_PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload", "NRestarts",
    "ActiveEnterTimestampMonotonic", "DropInPaths",
)  # fmt: skip
# A unit that systemd has restarted at least this often, and that runs for less than this time, is in a crash loop.
_LOOP_RESTARTS = 2
_LOOP_UPTIME_S = 15


def unit_facts(node: Node, units: list[str]) -> dict[str, dict[str, Any]]:
    """The state of each unit: loaded, active, started, failed, enabled, needs_daemon_reload, crashes, drop_ins.

    `crashes` is the number of restarts of a unit that crashes repeatedly, otherwise 0. `drop_ins` names those of a unit
    that fails or crashes and are not Tandem's.
    """
    if not units:
        return {}
    result = node.run(["systemctl", "show", "--property", ",".join(("Id", "Names", *_PROPERTIES)), *units])
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in result.out.split("\n\n") if block]
    # systemctl prints one block for each unit, in the order of the arguments.
    return {unit: _fact(node, block) for unit, block in zip(units, blocks)}  # noqa: B905 - Python 3.9 has no strict


def _fact(node: Node, shown: dict[str, str]) -> dict[str, Any]:
    crashes, failed = _crashes(node, shown), shown.get("ActiveState") == "failed"
    return {
        "loaded": shown.get("LoadState") == "loaded",
        "active": shown.get("ActiveState") in ("active", "reloading", "activating"),
        "started": shown.get("ActiveState") == "active",
        "failed": failed,
        "enabled": shown.get("UnitFileState") in ("enabled", "enabled-runtime", "static", "alias", "generated"),
        "needs_daemon_reload": shown.get("NeedDaemonReload") == "yes",
        "crashes": crashes,
        "drop_ins": describe_foreign(node, shown.get("DropInPaths", "")) if crashes or failed else "",
    }


def _crashes(node: Node, shown: dict[str, str]) -> int:
    """How often systemd has restarted a unit that does not stay up; 0 if it does.

    ActiveState is "active" for a moment in each round of a crash loop, so it is not sufficient.
    """
    restarts = int(shown.get("NRestarts") or 0)
    if shown.get("SubState", "").startswith("auto-restart"):
        return max(1, restarts)
    entered_s = int(shown.get("ActiveEnterTimestampMonotonic") or 0) / 1_000_000
    loops = restarts >= _LOOP_RESTARTS and node.uptime_s() - entered_s < _LOOP_UPTIME_S
    return restarts if loops else 0


def reset_crashes(node: Node, units: list[str]) -> None:
    """Reset systemd's counters of restarts: a service that waited for its database is not in a crash loop."""
    if units:
        node.run(["systemctl", "reset-failed", *units])


def is_started(node: Node, unit: str) -> bool:
    """Whether the unit is active (not activating or reloading)."""
    return unit_facts(node, [unit]).get(unit, {}).get("started", False)


def systemctl(node: Node, verb: str, unit: str, timeout_s: float = 120) -> None:
    """Run systemctl. Raises StepError if it fails, or if nginx keeps its old configuration after a reload."""
    if (verb, unit) == ("reload", "nginx"):
        reload_nginx(node, lambda: _systemctl(node, verb, unit, timeout_s))
    else:
        _systemctl(node, verb, unit, timeout_s)


def _systemctl(node: Node, verb: str, unit: str, timeout_s: float) -> None:
    result = node.run(["systemctl", verb, unit], timeout_s=timeout_s)
    if result.code:
        journal = node.run(["journalctl", "--no-pager", "-o", "cat", "-n", "12", "-u", unit]).out
        raise StepError(f"{verb} {unit}", f"systemctl {verb} {unit} failed", f"{result.err.strip()}\n{journal}")


# ---- pending actions -------------------------------------------------------------------------------------------------


def read_pending(node: Node) -> list[str]:
    """The pending actions: "daemon-reload", "reload nginx", "restart iam-apiserver"."""
    return list(node.read_json("pending.json", []))


def merge(pending: list[str], more: list[str]) -> list[str]:
    return [*pending, *(action for action in dict.fromkeys(more) if action not in pending)]


def add_pending(node: Node, actions: list[str]) -> None:
    """Record actions before the change that requires them, so that an interrupted run does not omit them."""
    node.write_json("pending.json", merge(read_pending(node), actions))


def forget(node: Node, actions: list[str]) -> None:
    if actions:
        node.write_json("pending.json", [action for action in read_pending(node) if action not in actions])


def settle(node: Node, action: str) -> list[str]:
    """Perform one pending action. Returns a description of the change."""
    if action == "daemon-reload":
        node.before(action)
        read_unit_files(node)
        forget(node, [action])
        return ["reloaded systemd's unit files"]
    verb, unit = action.split(" ", 1)
    state: dict[str, Any] = unit_facts(node, [unit]).get(unit, {})
    done: list[str] = []
    if state.get("active"):
        if state.get("crashes"):  # a unit that waits for its next start cannot be reloaded
            verb = "restart"
        node.before(f"{verb} {unit}")
        systemctl(node, verb, unit)
        done.append(f"{verb}ed {unit}")
    forget(node, [action])  # a stopped unit reads its files when it starts
    return done


def bring_up(node: Node, unit: str, *, enabled: bool, running: bool) -> list[str]:
    """Perform the pending actions of a unit, and ensure that it is enabled and running as requested."""
    state: dict[str, Any] = unit_facts(node, [unit]).get(unit, {})
    done: list[str] = []
    # systemd is queried too: this unit's files may have been changed by an earlier run or by hand.
    is_read = state.get("loaded") and not state.get("needs_daemon_reload") and not node.unit_files_changed
    if not is_read or "daemon-reload" in read_pending(node):
        done = settle(node, "daemon-reload")
        state = unit_facts(node, [unit]).get(unit, {})
    pending = [action for action in read_pending(node) if action.split(" ", 1)[-1] == unit]
    if enabled != bool(state.get("enabled")):
        node.before("enable " + unit)
        done += _enable(node, unit) if enabled else disable(node, unit)
    if not running:
        if state.get("active"):
            node.before("stop " + unit)
            systemctl(node, "stop", unit)
            done.append("stopped " + unit)
    elif not state.get("active"):
        node.before("start " + unit)
        if state.get("failed"):  # start fails for a unit that exceeded its restart limit
            node.run(["systemctl", "reset-failed", unit])
        systemctl(node, "start", unit)
        done.append("started " + unit)
    elif pending or state.get("crashes"):
        verb = "restart" if "restart " + unit in pending or state.get("crashes") else "reload"
        node.before(f"{verb} {unit}")
        systemctl(node, verb, unit)
        done.append(f"{verb}ed {unit}")
    forget(node, pending)
    return done


def bring_down(node: Node, unit: str) -> list[str]:
    """Stop and disable a unit that has left the manifest."""
    state = unit_facts(node, [unit]).get(unit, {})
    done: list[str] = []
    if state.get("active"):
        node.before("stop " + unit)
        systemctl(node, "stop", unit)
        done.append("stopped " + unit)
    if state.get("loaded") and state.get("enabled"):
        node.before("disable " + unit)
        done += disable(node, unit)
    return done


def _enable(node: Node, unit: str) -> list[str]:
    """Enable a unit. systemd reads its unit files immediately only if the links matter before the next boot.

    `systemctl enable` lets it read all of them for each unit, and twice for one that has an init script as well.
    """
    result = node.run(["systemctl", "enable", "--no-reload", unit], env={"SYSTEMCTL_SKIP_SYSV": "1"})
    if result.code:
        raise StepError(f"unit {unit}", f"systemctl enable {unit} failed", result.err)
    node.units_enabled = True
    links = [line for line in result.err.splitlines() if line.startswith("Created symlink ")]
    if any(".target.wants/" not in link for link in links):
        read_unit_files(node)
    return ["enabled " + unit]


def disable(node: Node, unit: str) -> list[str]:
    node.run_checked(f"unit {unit}", ["systemctl", "disable", "-q", unit])
    return ["disabled " + unit]


def read_unit_files(node: Node) -> None:
    node.run_checked("daemon-reload", ["systemctl", "daemon-reload"])
    node.unit_files_changed = node.units_enabled = False


def catch_up(node: Node) -> None:
    """Let systemd read its unit files, if it does not know them, or shows enabled units as they were."""
    if node.unit_files_changed or node.units_enabled:
        read_unit_files(node)
