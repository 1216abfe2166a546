"""What a rollout changes on nodes: candidates staged everywhere, then one node after the other, gate by gate."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from provisioning.agent_calls import Connection
from provisioning.errors import CandidateError, GateError, ProvisioningError
from provisioning.facts import Facts
from provisioning.inventory import Inventory, RemoteNode
from provisioning.kinds.base import Thing
from provisioning.kinds.database import Database
from provisioning.kinds.gate import Gate
from provisioning.kinds.unit import Unit
from provisioning.parallel import at_once
from provisioning.plan import Plan, commit_operation, describe, prepare_operation, stage_operation
from provisioning.switchover import end_drain, move_to_peer

REPORTED_LINES = 8  # of a node's plan; a new node's has a hundred
UPSTREAM_DRAIN_S = 1.0  # authz's audit records are sent within 0.3 s (iam.md, 1)
PREPARE_DEADLINE_S = 1200.0


@dataclass(frozen=True, slots=True)
class NodeChange:
    """One node during one rollout."""

    node: RemoteNode
    connection: Connection
    things: tuple[Thing, ...]  # with their secrets
    facts: Facts
    plan: Plan


def prepare(change: NodeChange, token: str) -> None:
    """Packages, users, directories: what disturbs nothing that serves."""
    if change.plan.prepare:
        change.connection.call([prepare_operation(change.plan)], token=token, deadline_s=PREPARE_DEADLINE_S)


def stage(changes: Sequence[NodeChange], revision: str, token: str) -> None:
    """Every node's candidates, judged there. One refusal anywhere, and nothing has changed anywhere."""

    def refusal(change: NodeChange) -> ProvisioningError | None:
        if not change.plan.commit:
            return None
        try:
            change.connection.call([stage_operation(change.plan, revision)], token=token)
        except ProvisioningError as error:
            return error
        return None

    refusals = [(change, error) for change, error in zip(changes, at_once(changes, refusal), strict=True) if error]
    if not refusals:
        return
    change, error = min(refusals, key=lambda each: not isinstance(each[1], CandidateError))
    if not isinstance(error, CandidateError):
        error.message += "; nothing was changed on any node"
        raise error
    others = "".join(f"\nalso {other.node.name}: {also.message}" for other, also in refusals if also is not error)
    look_at = next(
        (check.look_at for check in change.plan.checks if check.look_at and f": {check.name} " in error.message),
        error.look_at,
    )
    raise CandidateError(
        f"{error.message}; nothing was changed on any node", seen=error.seen + others, look_at=look_at
    ) from None


def commit_all(
    inventory: Inventory, changes: Sequence[NodeChange], token: str, report: Callable[[str], None]
) -> dict[str, tuple[str, ...]]:
    """What was accepted is put in use; what was changed on which node, in words. Raises ProvisioningError."""
    serving = any(change.facts.addresses or _runs(change, "keepalived") for change in changes)
    if not serving:
        done = at_once(changes, lambda change: _commit(change, token))
        _report_done(changes, done, report)
        for change in changes:
            if change.plan.drained:
                end_drain(change.connection)
        return {change.node.name: words for change, words in zip(changes, done, strict=True) if words}
    changed: dict[str, tuple[str, ...]] = {}
    reached: list[str] = []
    holding = {change.node.name for change in changes if change.facts.addresses}
    for change in sorted(changes, key=_commit_order):
        if not change.plan:
            continue
        try:
            words = _commit_one(inventory, change, changes, token, report, holding=holding)
        except GateError as error:
            raise GateError(
                f"{error.message}; the rollout stopped there"
                + (f" ({', '.join(reached)} changed before it)" if reached else ""),
                seen=error.seen,
                look_at=error.look_at,
            ) from None
        reached.append(change.node.name)
        changed[change.node.name] = words
        _report_done([change], [words], report)
    return changed


def _commit_order(change: NodeChange) -> tuple[bool, bool, bool]:
    """The one that holds the address goes last, when the others already serve what it is about to serve.

    But databases that are not there yet come first, since the others' services wait for them; and whatever is stopped
    for good stops when nobody uses it any more.
    """
    things = [step.thing for step in change.plan.commit]
    brings = any(isinstance(thing, Database) for thing in things)
    stops = any(isinstance(thing, Unit) and not thing.running for thing in things)
    return not brings, stops, bool(change.facts.addresses)


def _runs(change: NodeChange, unit: str) -> bool:
    return bool(change.facts.answers.get("unit", {}).get(unit, {}).get("active"))


def _commit_one(
    inventory: Inventory,
    change: NodeChange,
    changes: Sequence[NodeChange],
    token: str,
    report: Callable[[str], None],
    *,
    holding: set[str],
) -> tuple[str, ...]:
    """One node while the others serve: without the address, and out of the upstreams where it restarts services.

    `holding` are the nodes that hold an address by now; whoever takes one over is added.
    """
    peers = [peer.connection for peer in changes if peer is not change and peer.node.eligible]
    disturbs = any(isinstance(step.thing, Unit) for step in change.plan.commit) or change.plan.pending
    handed = change.node.name in holding and peers and disturbs
    if handed:
        report(f"{change.node.name}: handing {', '.join(change.facts.addresses or inventory.virtual_ips)} over")
        holding.add(move_to_peer(change.connection, peers, inventory.virtual_ips).to)
    try:
        with _out_of_upstreams(change, changes, report):
            return _commit(change, token)
    finally:
        if handed or change.plan.drained:
            end_drain(change.connection)


@contextmanager
def _out_of_upstreams(
    change: NodeChange, changes: Sequence[NodeChange], report: Callable[[str], None]
) -> Generator[None]:
    """No nginx sends to the services that this node is about to restart: they cut what they are answering.

    A node whose gate fails stays out: the others serve. The next rollout finds the changed upstreams and heals.
    """
    restarts = change.plan.restarts()
    gates = [thing for thing in change.things if isinstance(thing, Gate) and thing.name in restarts]
    endpoints = [urlsplit(gate.url).netloc for gate in gates]
    others = [other for other in changes if other is not change]
    if not (endpoints and others):
        yield
        return
    report(f"{change.node.name}: out of the upstreams, since {', '.join(gate.name for gate in gates)} will restart")
    leave = {"do": "leave", "endpoints": endpoints, "wait_s": UPSTREAM_DRAIN_S}
    at_once(changes, lambda one: one.connection.call([leave]))
    yield
    at_once(changes, lambda one: one.connection.call([{"do": "join"}]))


def _commit(change: NodeChange, token: str) -> tuple[str, ...]:
    """Commit and wait at the gates, in one call."""
    if not change.plan:
        return ()
    gates = [thing for thing in change.things if isinstance(thing, Gate)]
    operations = [
        commit_operation(change.plan),
        *({"do": "gate", **gate.operation()} for gate in gates),
    ]
    deadline_s = 600.0 + sum(gate.deadline_s for gate in gates)
    return tuple(change.connection.call(operations, token=token, deadline_s=deadline_s)[0])


def report_plans(changes: Sequence[NodeChange], report: Callable[[str], None]) -> None:
    for change in changes:
        lines = describe(change.plan)
        for line in lines[:REPORTED_LINES]:
            report(f"{change.node.name}: {line}")
        if more := len(lines[REPORTED_LINES:]):
            report(f"{change.node.name}: ... and {more} more")


def _report_done(changes: Sequence[NodeChange], done: Sequence[tuple[str, ...]], report: Callable[[str], None]) -> None:
    for change, words in zip(changes, done, strict=True):
        report(f"{change.node.name}: " + (f"{len(words)} changes, gates passed" if words else "as it was"))
