"""What still has to follow a change, remembered over a kill."""

from __future__ import annotations

from .machine import Machine
from .units import systemctl, unit_facts


def read_pending(machine: Machine) -> list[str]:
    """What still has to follow a change: "daemon-reload", "reload nginx", "restart iam-apiserver"."""
    return list(machine.read_json("pending.json", []))


def merge(pending: list[str], more: list[str]) -> list[str]:
    return [*pending, *(after for after in dict.fromkeys(more) if after not in pending)]


def forget(machine: Machine, afters: list[str]) -> None:
    if afters:
        machine.write_json("pending.json", [after for after in read_pending(machine) if after not in afters])


def settle(machine: Machine, after: str) -> list[str]:
    if after == "daemon-reload":
        machine.before(after)
        machine.must(after, ["systemctl", "daemon-reload"])
        forget(machine, [after])
        return ["systemd read its unit files again"]
    verb, unit = after.split(" ", 1)
    if unit_facts(machine, [unit]).get(unit, {}).get("ActiveState") == "active":
        machine.before(after)
        systemctl(machine, verb, unit)
    forget(machine, [after])
    return [f"{verb}ed {unit}"]
