"""systemd's units: what they are, and what is done to them."""

from __future__ import annotations

from .machine import Machine, StepError


def unit_facts(machine: Machine, units: list[str]) -> dict[str, dict[str, str]]:
    if not units:
        return {}
    wanted = ["Id", "Names", "LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload"]
    told = machine.run(["systemctl", "show", "--property", ",".join(wanted), *units])
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in told.out.split("\n\n") if block]
    # systemctl answers in the order of the question, one block each.
    return dict(zip(units, blocks))  # noqa: B905 - Python 3.9 has no strict


def systemctl(machine: Machine, verb: str, unit: str) -> None:
    told = machine.run(["systemctl", verb, unit], timeout_s=120)
    if told.code:
        journal = machine.run(["journalctl", "--no-pager", "-o", "cat", "-n", "12", "-u", unit]).out
        raise StepError(f"{verb} {unit}", f"systemctl {verb} {unit} failed", f"{told.err.strip()}\n{journal}")
