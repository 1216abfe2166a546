"""What a rollout changes on machines: candidates staged everywhere, then one machine after the other, gate by gate."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from provisioning.errors import CandidateError, GateError, ProvisioningError
from provisioning.facts import Facts
from provisioning.inventory import Host, Inventory
from provisioning.kinds.base import Thing
from provisioning.kinds.database import Database
from provisioning.kinds.gate import Gate
from provisioning.kinds.unit import Unit
from provisioning.parallel import at_once
from provisioning.plan import Plan, commit_operation, describe, prepare_operation, stage_operation
from provisioning.switchover import end_drain, move_to_peer
from provisioning.transport import Connection

REPORTED_LINES = 8  # of a machine's plan; a new machine's has a hundred
UPSTREAM_DRAIN_S = 1.0  # authz's audit records are sent within 0.3 s (iam.md, 1)
PREPARE_DEADLINE_S = 1200.0


@dataclass(frozen=True, slots=True)
class Target:
    """One machine during one rollout."""

    host: Host
    connection: Connection
    things: tuple[Thing, ...]  # with their secrets
    facts: Facts
    plan: Plan


def prepare(machine: Target, token: str) -> None:
    """Packages, users, directories: what disturbs nothing that serves."""
    if machine.plan.prepare:
        machine.connection.call([prepare_operation(machine.plan)], token=token, deadline_s=PREPARE_DEADLINE_S)


def stage(machines: Sequence[Target], revision: str, token: str) -> None:
    """Every machine's candidates, judged there. One refusal anywhere, and nothing has changed anywhere."""

    def refusal(machine: Target) -> ProvisioningError | None:
        if not machine.plan.commit:
            return None
        try:
            machine.connection.call([stage_operation(machine.plan, revision)], token=token)
        except ProvisioningError as error:
            return error
        return None

    refusals = [(machine, error) for machine, error in zip(machines, at_once(machines, refusal), strict=True) if error]
    if not refusals:
        return
    machine, error = min(refusals, key=lambda each: not isinstance(each[1], CandidateError))
    if not isinstance(error, CandidateError):
        error.message += "; nothing was changed on any machine"
        raise error
    others = "".join(f"\nalso {other.host.name}: {also.message}" for other, also in refusals if also is not error)
    look_at = next(
        (check.look_at for check in machine.plan.checks if check.look_at and f": {check.name} " in error.message),
        error.look_at,
    )
    raise CandidateError(
        f"{error.message}; nothing was changed on any machine", seen=error.seen + others, look_at=look_at
    ) from None


def commit_all(
    inventory: Inventory, machines: Sequence[Target], token: str, report: Callable[[str], None]
) -> dict[str, tuple[str, ...]]:
    """What was accepted is put in use; what was changed on which machine, in words. Raises ProvisioningError."""
    serving = any(machine.facts.addresses or _runs(machine, "keepalived") for machine in machines)
    if not serving:
        done = at_once(machines, lambda machine: _commit(machine, token))
        _report_done(machines, done, report)
        for machine in machines:
            if machine.plan.drained:
                end_drain(machine.connection)
        return {machine.host.name: words for machine, words in zip(machines, done, strict=True) if words}
    changed: dict[str, tuple[str, ...]] = {}
    reached: list[str] = []
    holding = {machine.host.name for machine in machines if machine.facts.addresses}
    for machine in sorted(machines, key=_turn):
        if not machine.plan:
            continue
        try:
            words = _commit_one(inventory, machine, machines, token, report, holding=holding)
        except GateError as error:
            raise GateError(
                f"{error.message}; the rollout stopped there"
                + (f" ({', '.join(reached)} changed before it)" if reached else ""),
                seen=error.seen,
                look_at=error.look_at,
            ) from None
        reached.append(machine.host.name)
        changed[machine.host.name] = words
        _report_done([machine], [words], report)
    return changed


def _turn(machine: Target) -> tuple[bool, bool, bool]:
    """The one that holds the address goes last, when the others already serve what it is about to serve.

    But databases that are not there yet come first, since the others' services wait for them; and whatever is stopped
    for good stops when nobody uses it any more.
    """
    things = [step.thing for step in machine.plan.commit]
    brings = any(isinstance(thing, Database) for thing in things)
    stops = any(isinstance(thing, Unit) and not thing.running for thing in things)
    return not brings, stops, bool(machine.facts.addresses)


def _runs(machine: Target, unit: str) -> bool:
    return bool(machine.facts.answers.get("unit", {}).get(unit, {}).get("active"))


def _commit_one(
    inventory: Inventory,
    machine: Target,
    machines: Sequence[Target],
    token: str,
    report: Callable[[str], None],
    *,
    holding: set[str],
) -> tuple[str, ...]:
    """One machine while the others serve: without the address, and out of the upstreams where it restarts services.

    `holding` are the machines that hold an address by now; whoever takes one over is added.
    """
    peers = [peer.connection for peer in machines if peer is not machine and peer.host.holder]
    disturbs = any(isinstance(step.thing, Unit) for step in machine.plan.commit) or machine.plan.pending
    handed = machine.host.name in holding and peers and disturbs
    if handed:
        report(f"{machine.host.name}: handing {', '.join(machine.facts.addresses or inventory.virtual_ips)} over")
        holding.add(move_to_peer(machine.connection, peers, inventory.virtual_ips).to)
    try:
        with _out_of_upstreams(machine, machines, report):
            return _commit(machine, token)
    finally:
        if handed or machine.plan.drained:
            end_drain(machine.connection)


@contextmanager
def _out_of_upstreams(machine: Target, machines: Sequence[Target], report: Callable[[str], None]) -> Generator[None]:
    """No nginx sends to the services that this machine is about to restart: they cut what they are answering.

    A machine whose gate fails stays out: the others serve. The next rollout finds the changed upstreams and heals.
    """
    restarts = machine.plan.restarts()
    gates = [thing for thing in machine.things if isinstance(thing, Gate) and thing.name in restarts]
    endpoints = [urlsplit(gate.url).netloc for gate in gates]
    others = [other for other in machines if other is not machine]
    if not (endpoints and others):
        yield
        return
    report(f"{machine.host.name}: out of the upstreams, since {', '.join(gate.name for gate in gates)} will restart")
    leave = {"do": "leave", "endpoints": endpoints, "wait_s": UPSTREAM_DRAIN_S}
    at_once(machines, lambda one: one.connection.call([leave]))
    yield
    at_once(machines, lambda one: one.connection.call([{"do": "join"}]))


def _commit(machine: Target, token: str) -> tuple[str, ...]:
    """Commit and wait at the gates, in one call."""
    if not machine.plan:
        return ()
    gates = [thing for thing in machine.things if isinstance(thing, Gate)]
    operations = [
        commit_operation(machine.plan),
        *({"do": "gate", **gate.operation()} for gate in gates),
    ]
    deadline_s = 600.0 + sum(gate.deadline_s for gate in gates)
    return tuple(machine.connection.call(operations, token=token, deadline_s=deadline_s)[0])


def report_plans(machines: Sequence[Target], report: Callable[[str], None]) -> None:
    for machine in machines:
        lines = describe(machine.plan)
        for line in lines[:REPORTED_LINES]:
            report(f"{machine.host.name}: {line}")
        if more := len(lines[REPORTED_LINES:]):
            report(f"{machine.host.name}: ... and {more} more")


def _report_done(machines: Sequence[Target], done: Sequence[tuple[str, ...]], report: Callable[[str], None]) -> None:
    for machine, words in zip(machines, done, strict=True):
        report(f"{machine.host.name}: " + (f"{len(words)} changes, gates passed" if words else "as it was"))
