"""The gate after a change, and handing the address over."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from .machine import Machine, StepError
from .units import systemctl, unit_facts

DRAIN_MARK = "/run/tandem/drain"  # there during a planned hand-over
DRAIN_CONF = "/run/tandem/nginx-drain.conf"  # included by every server; gone after a reboot, like the mark
MACHINE_FILE = "/etc/tandem/machine.json"  # the units of this machine's manifest, in order


def gate(machine: Machine, *, name: str, url: str, status: int, deadline_s: float) -> float:
    """Ask until the right answer comes. Returns the seconds that it took."""
    began = machine.now()
    seen = ""
    while True:
        seen = machine.probe(url)
        if seen == str(status):
            return round(machine.now() - began, 3)
        if machine.now() - began > deadline_s:
            break
        machine.sleep(0.1)
    journal = machine.run(["journalctl", "--no-pager", "-o", "cat", "-n", "12", "-u", name]).out
    raise StepError("gate", f"{url} did not answer {status} within {deadline_s:.0f} s", f"{seen}\n{journal}")


def serves(machine: Machine) -> bool:
    """Could this machine take the address: keepalived runs, nginx answers, no drain is on?"""
    active = unit_facts(machine, ["keepalived"]).get("keepalived", {}).get("ActiveState") == "active"
    draining = machine.at(DRAIN_MARK).exists()
    return active and not draining and machine.probe("http://127.0.0.1/healthz") == "200"


def wait_until_held(machine: Machine, *, virtual_ips: list[str], deadline_s: float) -> list[str]:
    """Which of the addresses this machine has, waiting until it has any."""
    deadline = machine.now() + deadline_s
    while not (held := addresses_held(machine, virtual_ips)) and machine.now() < deadline:
        machine.sleep(0.05)
    return held


def drain(machine: Machine, *, virtual_ips: list[str], deadline_s: float) -> dict[str, list[Any]]:
    """Ask clients to go, then let the addresses go.

    Killed here, the next rollout finds the mark and ends the drain; so does a reboot.
    """
    settings = json.loads(machine.read("/etc/tandem/holder.json") or "{}")
    held = addresses_held(machine, virtual_ips)
    machine.before("drain")
    machine.at("/run/tandem").mkdir(parents=True, exist_ok=True)
    if held and settings.get("drain_s"):
        machine.at(DRAIN_CONF).write_text("keepalive_timeout 0;\n")
        systemctl(machine, "reload", "nginx")
        machine.sleep(settings["drain_s"])
    cut = len(_clients(machine, held)) if held else 0
    machine.at(DRAIN_MARK).write_text("")
    if settings.get("tracked"):
        _track(machine, settings["drain"])
    left = _wait_until_gone(machine, held, 5)
    if left and settings.get("tracked"):
        # The peer does not hear that our priority is lower. FAULT lets go in any case; the peer serves, we asked.
        _track(machine, settings["fault"])
    if left:
        left = _wait_until_gone(machine, held, deadline_s)
    if left:
        end_drain(machine)
        raise StepError("drain", f"{', '.join(left)} did not leave within {deadline_s:.0f} s; the drain was ended")
    return {"moved": held, "cut": [cut]}


def end_drain(machine: Machine) -> None:
    settings = json.loads(machine.read("/etc/tandem/holder.json") or "{}")
    machine.before("end drain")
    with contextlib.suppress(FileNotFoundError):
        machine.at(DRAIN_MARK).unlink()
    ours = [str(settings.get("drain")), str(settings.get("fault"))]
    if settings.get("tracked") and machine.read("/run/tandem/nginx") in ours:
        _track(machine, 0)
    if machine.at(DRAIN_CONF).exists():
        machine.at(DRAIN_CONF).unlink()
        systemctl(machine, "reload", "nginx")


def _track(machine: Machine, value: int) -> None:
    new = machine.at("/run/tandem/nginx.drain")
    new.write_text(f"{value}\n")
    new.replace(machine.at("/run/tandem/nginx"))


def idle(machine: Machine) -> list[str]:
    """The units of the last rollout that do not run; where there was no rollout, "everything"."""
    units = _units(machine)
    facts = unit_facts(machine, units)
    return [unit for unit in units if facts.get(unit, {}).get("ActiveState") != "active"] if units else ["everything"]


def _units(machine: Machine) -> list[str]:
    return json.loads(machine.read(MACHINE_FILE) or '{"units": []}')["units"]


def retire(machine: Machine) -> list[str]:
    """Stop everything that the last rollout started here, the last first, so that disks can be taken away."""
    units = _units(machine)
    running = [unit for unit in reversed(units) if unit_facts(machine, [unit])[unit].get("ActiveState") == "active"]
    for unit in running:
        machine.before("stop " + unit)
        systemctl(machine, "stop", unit)
    return running


def addresses_held(machine: Machine, virtual_ips: list[str]) -> list[str]:
    if not virtual_ips:
        return []
    told = machine.run(["ip", "-j", "-4", "address", "show"])
    try:
        here = {entry.get("local") for link in json.loads(told.out or "[]") for entry in link.get("addr_info", [])}
    except ValueError:
        return []
    return [address for address in virtual_ips if address in here]


def _wait_until_gone(machine: Machine, addresses: list[str], deadline_s: float) -> list[str]:
    deadline = machine.now() + deadline_s
    while (left := addresses_held(machine, addresses)) and machine.now() < deadline:
        machine.sleep(0.02)
    return left


def _clients(machine: Machine, addresses: list[str]) -> list[str]:
    told = machine.run(["ss", "-Htn", "state", "established"])
    return [line for line in told.out.splitlines() if line.split()[2].rsplit(":", 1)[0] in addresses]
