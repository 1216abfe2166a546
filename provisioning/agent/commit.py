"""The staged candidates become true, one action after the other."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Callable
from typing import Any

from . import mariadb
from .change_lock import mine
from .files import own, sync_directory, sysctl_path
from .machine import Machine
from .pending import forget, read_pending, settle
from .units import systemctl, unit_facts


def commit(machine: Machine, *, actions: list[dict[str, Any]]) -> list[str]:
    """Make the staged candidates true, in order. Returns what was done, in words."""
    with mine(machine):
        with contextlib.suppress(FileNotFoundError):
            machine.state_path("pending.next.json").replace(machine.state_path("pending.json"))
        done: list[str] = []
        for action in actions:
            done += _ACTIONS[action["kind"]](machine, action)
        for after in read_pending(machine):  # of units that the manifest no longer names
            done += settle(machine, after)
        shutil.rmtree(machine.state_path("staged"), ignore_errors=True)
        return done


def _write(machine: Machine, action: dict[str, Any]) -> list[str]:
    place, staged = machine.at(action["path"]), machine.state_path("staged") / action["path"].lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    machine.before("write " + action["path"])
    try:
        staged.replace(place)
    except OSError as failed:
        if failed.errno != errno.EXDEV:
            raise
        near = place.with_name(f".{place.name}.tandem")
        shutil.copy2(staged, near)
        own(near, action)
        near.replace(place)
    sync_directory(machine, place.parent)
    return ["wrote " + action["path"]]


def _first_content(machine: Machine, action: dict[str, Any]) -> list[str]:
    place, source = machine.at(action["path"]), machine.at(action["source"])
    if place.exists():
        return []
    machine.before("copy " + action["path"])
    if unit_facts(machine, [action["unit"]])[action["unit"]].get("ActiveState") == "active":
        systemctl(machine, "stop", action["unit"])
    near = place.with_name(f".{place.name}.tandem")
    shutil.rmtree(near, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    # cp keeps owners, modes and times of a whole tree; shutil would lose the owners.
    machine.must(f"copy {action['path']}", ["cp", "-a", str(source), str(near)])
    machine.must(f"copy {action['path']}", ["sync", "-f", str(near)])
    near.rename(place)
    return [f"copied {action['source']} to {action['path']}"]


def _link(machine: Machine, action: dict[str, Any]) -> list[str]:
    place = machine.at(action["path"])
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.tandem")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    new.symlink_to(action["target"])
    machine.before("link " + action["path"])
    new.replace(place)
    sync_directory(machine, place.parent)
    return [f"linked {action['path']} to {action['target']}"]


def _remove(machine: Machine, action: dict[str, Any]) -> list[str]:
    machine.before("remove " + action["path"])
    with contextlib.suppress(FileNotFoundError):
        machine.at(action["path"]).unlink()
    return ["removed " + action["path"]]


def _sysctl(machine: Machine, action: dict[str, Any]) -> list[str]:
    key, value = action["key"], action["value"]
    place = machine.at(sysctl_path(key))
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(place.name + ".new")
    new.write_text(f"{key} = {value}\n")
    machine.before("sysctl " + key)
    new.replace(place)
    machine.must(f"sysctl {key}", ["sysctl", "-q", "-w", f"{key}={value}"])
    return [f"set {key} = {value}"]


def _unit(machine: Machine, action: dict[str, Any]) -> list[str]:
    """Do what was pending for a unit, then see that it is enabled and runs as wanted."""
    unit = action["name"]
    state = unit_facts(machine, [unit]).get(unit, {})
    done: list[str] = []
    # Asked of systemd too: the pending one may have been done for an earlier unit, before this one's files came.
    if state.get("NeedDaemonReload") == "yes" or "daemon-reload" in read_pending(machine):
        done = settle(machine, "daemon-reload")
        state = unit_facts(machine, [unit]).get(unit, {})
    pending = [after for after in read_pending(machine) if after.split(" ", 1)[-1] == unit]
    enabled = state.get("UnitFileState") in ("enabled", "enabled-runtime", "static", "alias", "generated")
    if action["enabled"] != enabled:
        machine.before("enable " + unit)
        machine.must(f"unit {unit}", ["systemctl", "enable" if action["enabled"] else "disable", "-q", unit])
        done.append(("enabled " if action["enabled"] else "disabled ") + unit)
    running = state.get("ActiveState") in ("active", "reloading", "activating")
    if not action["running"]:
        if running:
            machine.before("stop " + unit)
            systemctl(machine, "stop", unit)
            done.append("stopped " + unit)
    elif not running:
        machine.before("start " + unit)
        machine.run(["systemctl", "reset-failed", unit])  # a unit over its restart limit would refuse
        systemctl(machine, "start", unit)
        done.append("started " + unit)
    elif pending:
        verb = "restart" if "restart " + unit in pending else "reload"
        machine.before(f"{verb} {unit}")
        systemctl(machine, verb, unit)
        done.append(f"{verb}ed {unit}")
    forget(machine, pending)
    return done


_ACTIONS: dict[str, Callable[[Machine, dict[str, Any]], list[str]]] = {
    "write": _write,
    "first_content": _first_content,
    "link": _link,
    "remove": _remove,
    "sysctl": _sysctl,
    "unit": _unit,
    "database": mariadb.database,
    "account": mariadb.set_account,
    "grant": mariadb.grant,
    "query": mariadb.query,
}
