"""The changing steps of a rollout: prepare, stage on all nodes, then commit node by node with a health gate each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from provisioning.agent_calls import Connection
from provisioning.errors import CandidateError, GateError, ProvisioningError
from provisioning.facts import Facts
from provisioning.havip import Confirm
from provisioning.inventory import Inventory, RemoteNode
from provisioning.kinds.base import Item, Phase
from provisioning.kinds.gate import Gate
from provisioning.kinds.unit import Unit
from provisioning.order import node_order, runs
from provisioning.out_of_service import Extent, Surroundings, put_back, take_out
from provisioning.parallel import in_parallel
from provisioning.plan import Plan, commit_operation, describe, stage_operation
from provisioning.serving import NodeState, read_state

REPORTED_LINES = 8  # of each node's plan; the plan of a new node has about a hundred
_NOT_CHANGED = "no configuration and no running service was changed"  # packages may have been installed


@dataclass(frozen=True, slots=True)
class NodeChange:
    """One node in a rollout: its connection, desired items, facts, and the plan made from them."""

    node: RemoteNode
    connection: Connection
    items: tuple[Item, ...]  # placeholders replaced by secrets
    facts: Facts
    plan: Plan


def stage(changes: Sequence[NodeChange], revision: str, token: str) -> None:
    """Stage and validate the candidates on all nodes.

    Raises:
        CandidateError: a node rejected its candidates. No configuration and no running service was changed.
    """

    def stage_one(change: NodeChange) -> ProvisioningError | None:
        if not change.plan.commit:
            return None
        try:
            change.connection.call([stage_operation(change.plan, revision)], token=token)
        except ProvisioningError as error:
            return error
        return None

    errors = zip(changes, in_parallel(changes, stage_one), strict=True)
    failed = [(change, error) for change, error in errors if error]
    if not failed:
        return
    change, error = min(failed, key=lambda each: not isinstance(each[1], CandidateError))
    if not isinstance(error, CandidateError):
        error.message += f"; {_NOT_CHANGED}"
        raise error
    others = "".join(f"\nalso {other.node.name}: {also.message}" for other, also in failed if also is not error)
    look_at = next(
        (check.look_at for check in change.plan.checks if check.look_at and f": {check.name} " in error.message),
        error.look_at,
    )
    raise CandidateError(f"{error.message}; {_NOT_CHANGED}", seen=error.seen + others, look_at=look_at) from None


def commit_all(
    inventory: Inventory,
    changes: Sequence[NodeChange],
    token: str,
    report: Callable[[str], None],
    confirm: Confirm,
) -> dict[str, tuple[str, ...]]:
    """Commit the staged candidates and return the changes made, by node name.

    Node by node while the group serves (in `order.node_order`), otherwise all nodes in parallel.

    Raises:
        GateError: a node failed its health gate; the following nodes were not changed.
        ProvisioningError: a step failed on a node.
    """
    if not is_serving(changes):
        done = in_parallel(changes, lambda change: _commit(change, token))
        _report_done(changes, done, report)
        for change in changes:
            if change.plan.drained:
                change.connection.call([{"do": "end_drain"}])
        return {change.node.name: lines for change, lines in zip(changes, done, strict=True) if lines}
    changed: dict[str, tuple[str, ...]] = {}
    committed: list[str] = []
    masters = {change.node.name for change in changes if change.facts.addresses}
    # A broken node is repaired before the others: the last instance that serves is not taken out of service.
    broken = _find_broken(changes)
    for change in sorted(changes, key=lambda each: (each.node.name not in broken, *node_order(each.items, each.facts))):
        if not change.plan:
            continue
        try:
            around = _surroundings(inventory, change, changes, report, confirm)
            lines = _commit_one(around, change, token, masters=masters)
        except GateError as error:
            raise GateError(
                f"{error.message}; the rollout stopped there"
                + (f" ({', '.join(committed)} changed before it)" if committed else ""),
                seen=error.seen,
                look_at=error.look_at,
            ) from None
        committed.append(change.node.name)
        changed[change.node.name] = lines
        _report_done([change], [lines], report)
    return changed


def is_serving(changes: Sequence[NodeChange]) -> bool:
    """Whether a node of the group serves clients, so that the nodes are changed one by one."""
    return any(change.facts.addresses or runs(change.facts, "keepalived") for change in changes)


def _find_broken(changes: Sequence[NodeChange]) -> set[str]:
    """The nodes of the last rollout that do not serve. A node that has had no rollout is not among them."""
    states = in_parallel(changes, lambda change: read_state(change.connection, ()))
    return {state.node.name for state in states if any(state.health.values())}


def _surroundings(
    inventory: Inventory,
    change: NodeChange,
    changes: Sequence[NodeChange],
    report: Callable[[str], None],
    confirm: Confirm,
) -> Surroundings:
    others = tuple(other.connection for other in changes if other is not change)
    reached = {each.node.name for each in changes}
    unreachable = tuple(
        NodeState(node, unreachable="it is left out of this rollout")
        for node in inventory.nodes
        if node.name not in reached
    )
    return Surroundings(change.connection, others, unreachable, inventory.virtual_ips, confirm, report)


def _commit_one(around: Surroundings, change: NodeChange, token: str, *, masters: set[str]) -> tuple[str, ...]:
    """Commit one node while the others serve: out of service before, and back afterwards.

    Only services that will restart leave the upstreams: a restart cuts off requests in progress. `masters` are the
    names of the nodes that hold a virtual IP; the new masters are added after a switchover. If a health gate fails, the
    node stays out of the upstreams.
    """
    restarts = change.plan.restarts()
    gates = [item for item in change.items if isinstance(item, Gate) and item.name in restarts]
    disruptive = any(isinstance(step.item, Unit) for step in change.plan.commit) or change.plan.pending
    has_peer = any(other.node.eligible for other in around.others)
    switches = bool(change.node.name in masters and has_peer and disruptive)
    if not (gates or switches or change.plan.drained):
        return _commit(change, token)
    if gates or switches:
        ports = [urlsplit(gate.url).port or 80 for gate in gates]
        moves = take_out(around, Extent([gate.name for gate in gates], ports, virtual_ips=switches))
        masters.update(move.to for move in moves)
    try:
        lines = _commit(change, token)
    except ProvisioningError:
        if switches or change.plan.drained:
            change.connection.call([{"do": "end_drain"}])
        raise
    put_back(around)
    return lines


def _commit(change: NodeChange, token: str) -> tuple[str, ...]:
    """Commit, then wait for the health gates, in one call to the agent."""
    if not change.plan:
        return ()
    gates: list[dict[str, Any]] = [
        {"do": "gate", "kind": item.kind(), "nonce": token, **item.operation()}
        for item in change.items
        if item.phase is Phase.GATE
    ]
    units = [unit for item in change.items for unit in item.units()]
    operations = [commit_operation(change.plan), *gates, {"do": "reset_restarts", "units": units}]
    deadline_s = 600.0 + sum(gate["deadline_s"] for gate in gates)
    return tuple(change.connection.call(operations, token=token, deadline_s=deadline_s)[0])


def report_plans(changes: Sequence[NodeChange], report: Callable[[str], None]) -> None:
    for change in changes:
        lines = describe(change.plan)
        for line in lines[:REPORTED_LINES]:
            report(f"{change.node.name}: {line}")
        if more := len(lines[REPORTED_LINES:]):
            report(f"{change.node.name}: ... and {more} more")


def _report_done(changes: Sequence[NodeChange], done: Sequence[tuple[str, ...]], report: Callable[[str], None]) -> None:
    for change, lines in zip(changes, done, strict=True):
        report(f"{change.node.name}: " + (f"{len(lines)} changes, health gates passed" if lines else "no changes"))
