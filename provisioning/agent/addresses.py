"""Which addresses this machine has now, and who is connected to them."""

from __future__ import annotations

import json

from .machine import Machine


def addresses_held(machine: Machine, virtual_ips: list[str]) -> list[str]:
    if not virtual_ips:
        return []
    told = machine.run(["ip", "-j", "-4", "address", "show"])
    try:
        here = {entry.get("local") for link in json.loads(told.out or "[]") for entry in link.get("addr_info", [])}
    except ValueError:
        return []
    return [address for address in virtual_ips if address in here]


def wait_until_gone(machine: Machine, addresses: list[str], deadline_s: float) -> list[str]:
    deadline = machine.now() + deadline_s
    while (left := addresses_held(machine, addresses)) and machine.now() < deadline:
        machine.sleep(0.02)
    return left


def clients(machine: Machine, addresses: list[str]) -> list[str]:
    told = machine.run(["ss", "-Htn", "state", "established"])
    return [line for line in told.out.splitlines() if line.split()[2].rsplit(":", 1)[0] in addresses]
