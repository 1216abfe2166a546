"""The health checks of a node, and the health gate after a commit.

Health asks what users ask: a unit that is "active" may restart every second, and `/healthz` of the services is
constant. `health` runs all checks once and changes nothing; `gate` repeats one check until it passes.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from . import access_log, kinds, packet_filters, put_back_timer, undelivered, upstreams
from .drained import drained_routers
from .drop_ins import describe_foreign
from .kept_out import kept_out
from .node import Node, StepError
from .results import FAIL, fail, ok, warning
from .serving import addresses_held
from .systemd import is_started

# A unit that has been restarted less than this ago is looked at twice: one that restarts again in between is looping.
_STABLE_S = 60.0
_SECOND_LOOK_S = 2.0
_USED_WARNING, _USED_FAIL = 0.85, 0.95  # of the space or the inodes of a file system
_SMALLEST_FREE = 64 * 1024 * 1024  # bytes
_FILE_SYSTEMS = ("/", "/var", "/var/log", "/var/lib/mysql", "/var/lib/redis", "/srv/tandem", "/tmp", "/run")  # noqa: S108 - only their free space is read
_UNIT_PROPERTIES = "Id,LoadState,ActiveState,SubState,NRestarts,Result,ActiveEnterTimestampMonotonic,DropInPaths"


def health(
    node: Node, *, units: list[str], checks: list[dict[str, Any]], virtual_ips: list[str], nonce: str
) -> dict[str, Any]:
    """Run all checks once. `nonce` marks the authorization decision, so that its audit record can be found."""
    results = [*_units(node, units), *_disks(node)]
    for check in checks:
        results += kinds.get(check["kind"]).check(node, {**check, "nonce": nonce})
    held = addresses_held(node, virtual_ips)
    if node.at("/etc/tandem/switchover.json").exists():
        results += [_vrrp(node, held), *_nginx(node), *packet_filters.check(node), *undelivered.check(node)]
    out = {**kept_out(node), "originals": upstreams.originals(node)}
    return {"now": node.wall_clock(), "held": held, "results": results, "kept_out": out}


def gate(node: Node, *, kind: str, deadline_s: float, nonce: str = "", **item: Any) -> float:
    """Repeat a check until it does not fail. Returns the time taken, in seconds."""
    began = node.now()
    while True:
        failed = [each for each in kinds.get(kind).check(node, {**item, "nonce": nonce}) if each["level"] == FAIL]
        if not failed:
            return round(node.now() - began, 3)
        if node.now() - began > deadline_s:
            break
        node.sleep(0.1)
    seen = "\n".join(f"{each['name']}: {each['seen']}" for each in failed)
    journal = node.run(["journalctl", "--no-pager", "-o", "cat", "-n", "12", "-u", item["unit"]]).out
    first = seen.splitlines()[0]
    drop_ins = describe_foreign(node, _show(node, [item["unit"]]).get(item["unit"], {}).get("DropInPaths", ""))
    raise StepError("gate", f"{first} (waited {deadline_s:.0f} s){drop_ins}", f"{seen}\n{journal}")


def spread(node: Node, *, nonce: str) -> dict[str, int]:
    """The number of requests with this nonce in the URL by upstream address, from nginx's access log."""
    found: dict[str, int] = {}
    lines = node.run(["tail", "-n", "2000", access_log.PATH]).out.splitlines()
    for line in lines:
        server = access_log.last_upstream(line) if nonce in line else ""
        if server:
            found[server] = found.get(server, 0) + 1
    return found


def reset_restarts(node: Node, *, units: list[str]) -> None:
    """Reset systemd's restart counters after a rollout: services restart until what they depend on has started."""
    if units:
        node.run(["systemctl", "reset-failed", *units])


# ---- units -----------------------------------------------------------------------------------------------------------


def _units(node: Node, names: list[str]) -> list[dict[str, Any]]:
    if not names:
        return []
    first = _show(node, names)
    restarted = [name for name, shown in first.items() if _restarts(shown) and _running_s(shown) < _STABLE_S]
    later = {}
    if restarted:
        node.sleep(_SECOND_LOOK_S)
        later = _show(node, restarted)
    found = [_unit(name, shown, later.get(name, shown)) for name, shown in first.items()]
    faults = [each for each in found if each]
    for fault in faults:
        fault["seen"] += describe_foreign(node, first[fault["name"].removeprefix("unit ")].get("DropInPaths", ""))
    running = len(names) - len(faults)
    return [*faults, *([ok("units", f"{running} running")] if running else [])]


def _show(node: Node, names: list[str]) -> dict[str, dict[str, str]]:
    text = node.run(["systemctl", "show", "--property", _UNIT_PROPERTIES, *names]).out
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in text.split("\n\n") if block]
    # systemctl prints one block for each unit, in the order of the arguments.
    return dict(zip(names, blocks))  # noqa: B905 - Python 3.9 has no strict


def _unit(name: str, shown: dict[str, str], later: dict[str, str]) -> dict[str, Any] | None:
    """The fault of a unit, or None. `later` is its state two seconds later, if it has been restarted recently."""
    look_at = f"journalctl -u {name}; systemctl cat {name}"
    state, detail = shown.get("ActiveState", "unknown"), shown.get("SubState", "")
    restarts = _restarts(later)
    restarted = "restarted once" if restarts == 1 else f"restarted {restarts} times"
    if shown.get("LoadState") == "not-found":
        return fail(f"unit {name}", "the unit does not exist", "tandem up")
    if state not in ("active", "reloading"):
        if detail in ("auto-restart", "failed"):
            seen = f"{'stopped' if detail == 'auto-restart' else state} ({shown.get('Result', '')})"
        else:
            seen = f"{state} ({detail})"
        return fail(f"unit {name}", f"{seen}, {restarted}" if restarts else seen, look_at)
    running_s = _running_s(later)
    if restarts and running_s < _STABLE_S:
        seen = f"{restarted}, the last time {running_s:.0f} s ago"
        looping = restarts > _restarts(shown) or later.get("SubState") == "auto-restart"
        return (fail if looping else warning)(f"unit {name}", seen, look_at)
    return None


def _restarts(shown: dict[str, str]) -> int:
    return int(shown.get("NRestarts") or 0)


def _running_s(shown: dict[str, str]) -> float:
    return _seconds_since(shown.get("ActiveEnterTimestampMonotonic", ""))


def _seconds_since(text: str) -> float:
    """The seconds since a monotonic time stamp of systemd, in microseconds; infinite if there is none."""
    return time.monotonic() - int(text) / 1e6 if text.isdigit() and int(text) else float("inf")


# ---- disks -----------------------------------------------------------------------------------------------------------


def _disks(node: Node) -> list[dict[str, Any]]:
    found: dict[int, tuple[str, os.statvfs_result]] = {}
    for path in _FILE_SYSTEMS:
        target = node.at(path)
        if target.is_dir():
            found.setdefault(target.stat().st_dev, (path, os.statvfs(target)))
    return [judge_disk(path, usage) for path, usage in found.values() if usage.f_blocks]


def judge_disk(path: str, usage: os.statvfs_result) -> dict[str, Any]:
    # f_bavail: root may use reserved blocks, nginx and the databases may not.
    free = usage.f_bavail * usage.f_frsize
    used = 1 - usage.f_bavail / max(1, usage.f_blocks - usage.f_bfree + usage.f_bavail)
    used_inodes = 1 - usage.f_favail / usage.f_files if usage.f_files else 0.0
    seen = f"{path}: {used:.0%} used, {free // 1024 // 1024} MiB free"
    if used_inodes > _USED_WARNING:
        seen += f", {used_inodes:.0%} of the inodes used"
    # Without -x: on an overlay, du takes files for those of another file system than their directory.
    look_at = f"du -h --max-depth=2 --exclude=/proc --exclude=/sys {path} | sort -h | tail; journalctl --disk-usage"
    if usage.f_flag & os.ST_RDONLY:
        return fail("disk", f"{path} is mounted read-only", "dmesg")
    if max(used, used_inodes) >= _USED_FAIL or (free < _SMALLEST_FREE and used >= _USED_WARNING):
        return fail("disk", seen, look_at)
    if max(used, used_inodes) >= _USED_WARNING:
        return warning("disk", seen, look_at)
    return ok("disk", f"{path} {used:.0%} used")


# ---- keepalived and nginx --------------------------------------------------------------------------------------------


def _vrrp(node: Node, held: list[str]) -> dict[str, Any]:
    settings = json.loads(node.read("/etc/tandem/switchover.json") or "{}")
    if not is_started(node, "keepalived"):
        return fail("VRRP", "keepalived is not running: this node cannot take over", "journalctl -u keepalived")
    if drained_routers(node):
        if kept_out(node):
            return warning("VRRP", "drained by `tandem drain`", "tandem undrain")
        if not put_back_timer.runs(node):
            seen = "drained by `tandem switchover`: takes over only if the peer fails"
            return warning("VRRP", seen, "tandem switchover --back")
        return fail(
            "VRRP",
            "drained by a rollout or an interrupted switchover: cannot take over",
            "tandem undrain; tandem up",
        )
    if settings.get("tracked") and node.read("/run/tandem/nginx") == str(settings.get("fault")):
        return fail("VRRP", "FAULT: nginx does not respond, so this node cannot take over", "journalctl -u nginx")
    return ok("VRRP", f"master of {', '.join(held)}" if held else "backup")


def _nginx(node: Node) -> list[dict[str, Any]]:
    result = node.run(["nginx", "-t", "-q"])
    if result.code:
        seen = f"nginx -t: {result.err.strip() or result.out.strip()}"
        return [fail("nginx", seen, "the file that nginx -t names; tandem up")]
    return []
