"""The changing steps of a rollout: prepare, stage on all nodes, then commit node by node with a health gate each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlsplit

from provisioning.errors import CandidateError, GateError, ProvisioningError
from provisioning.facts import Facts
from provisioning.health.results import count
from provisioning.inventory import Inventory, RemoteNode
from provisioning.kinds.base import Item, Phase
from provisioning.kinds.gate import Gate
from provisioning.parallel import in_parallel
from provisioning.plan import Plan, commit_operation, describe, gate_operation, stage_operation
from provisioning.rollout.order import node_order, runs
from provisioning.rollout.restore import Target, restore_after
from provisioning.rollout.versions import Version, accept_operation
from provisioning.ssh.agent_calls import Connection
from provisioning.traffic.havip import Confirm
from provisioning.traffic.out_of_service import Extent, Surroundings, put_back, take_out
from provisioning.traffic.serving import NodeState, read_state

REPORTED_LINES = 8  # of each node's plan; the plan of a new node has about a hundred
FIRST_FAILED = "the first rollout failed on another node"


@dataclass(frozen=True, slots=True)
class NodeChange:
    """One node in a rollout: its connection, desired items, facts, and the plan made from them."""

    node: RemoteNode
    connection: Connection
    items: tuple[Item, ...]  # placeholders replaced by secrets
    facts: Facts
    plan: Plan

    @property
    def target(self) -> Target:
        """What a rollback needs of the node."""
        return Target(self.connection, self.items)


def stage(changes: Sequence[NodeChange], version: Version, token: str) -> None:
    """Stage and validate the candidates on all nodes.

    Raises:
        CandidateError: a node rejected its candidates.
    """

    def stage_one(change: NodeChange) -> ProvisioningError | None:
        if not change.plan:
            return None
        try:
            operation = stage_operation(change.plan, version.revision, version.serial)
            change.connection.call([operation], token=token)
        except ProvisioningError as error:
            return error
        return None

    errors = zip(changes, in_parallel(changes, stage_one), strict=True)
    failed = [(change, error) for change, error in errors if error]
    if not failed:
        return
    change, error = min(failed, key=lambda each: not isinstance(each[1], CandidateError))
    if not isinstance(error, CandidateError):
        raise error
    others = "".join(f"\nalso {other.node.name}: {also.message}" for other, also in failed if also is not error)
    look_at = next(
        (check.look_at for check in change.plan.checks if check.look_at and f": {check.name} " in error.message),
        error.look_at,
    )
    raise CandidateError(error.message, seen=error.seen + others, look_at=look_at) from None


def commit_part(
    change: NodeChange, plan: Plan, version: Version, token: str, *, deadline_s: float
) -> dict[str, tuple[str, ...]]:
    """Stage and commit a part of a node's plan, without a drain and without health gates. Returns the changes made."""
    if not plan:
        return {}
    stage([replace(change, plan=plan)], version, token)
    return {change.node.name: commit_staged(change, plan, (), token, deadline_s=deadline_s)}


def commit_staged(
    change: NodeChange, plan: Plan, gates: Sequence[Item], token: str, *, deadline_s: float
) -> tuple[str, ...]:
    """Commit the part that was staged last, then wait for the health gates. Returns the changes made."""
    waits = [gate_operation(gate, token) for gate in gates]
    deadline_s += sum(wait["deadline_s"] for wait in waits) + _commit_s(plan)
    return tuple(change.connection.call([commit_operation(plan), *waits], token=token, deadline_s=deadline_s)[0])


def commit_all(
    inventory: Inventory,
    changes: Sequence[NodeChange],
    version: Version,
    token: str,
    report: Callable[[str], None],
    *,
    confirm: Confirm,
) -> dict[str, tuple[str, ...]]:
    """Commit the staged candidates and return the changes made, by node name.

    Node by node while the group serves (in `order.node_order`), otherwise all nodes in parallel. A node that fails is
    rolled back to its previous version.

    Raises:
        GateError: a node failed its health gate; the following nodes were not changed.
        ProvisioningError: a step failed on a node.
    """
    if not is_serving(changes):
        done = _commit_together(changes, version, token, report)
        _report_done(changes, done, report)
        for change in changes:
            if change.plan.drained:
                change.connection.call([{"do": "end_drain"}])
        return {change.node.name: lines for change, lines in zip(changes, done, strict=True) if lines}
    changed: dict[str, tuple[str, ...]] = {}
    masters = {change.node.name for change in changes if change.facts.addresses}
    # A broken node is repaired before the others: the last instance that serves is not taken out of service.
    broken = _find_broken(changes)
    for change in sorted(changes, key=lambda each: (each.node.name not in broken, *node_order(each.items, each.facts))):
        if not change.plan:
            continue
        peers = [other.target for other in changes if other is not change]
        commit = partial(_commit_or_restore, change, peers, version, token, report)
        try:
            around = make_surroundings(inventory, change, changes, report, confirm)
            changed[change.node.name] = change_one(around, change, commit, masters=masters)
        except ProvisioningError as error:
            earlier = f" ({', '.join(changed)} changed before it)" if changed else ""
            error.message += f"; the rollout stopped there{earlier}"
            raise
        _report_done([change], [changed[change.node.name]], report)
    return changed


def _commit_together(
    changes: Sequence[NodeChange], version: Version, token: str, report: Callable[[str], None]
) -> list[tuple[str, ...]]:
    """Commit all nodes in parallel. If one fails, it is rolled back, and so is the whole of a first rollout."""

    def attempt(change: NodeChange) -> tuple[str, ...] | ProvisioningError:
        try:
            return _commit(change, token, None if is_first(change) else version)
        except ProvisioningError as error:
            return error

    def is_first(change: NodeChange) -> bool:
        return change.facts.versions.current is None

    results = in_parallel(changes, attempt)
    errors = [result for result in results if isinstance(result, ProvisioningError)]

    def conclude(change: NodeChange, result: tuple[str, ...] | ProvisioningError) -> ProvisioningError | None:
        if isinstance(result, ProvisioningError):
            return undo(result, change, (), version, token, report)
        if not (change.plan and is_first(change)):
            return None
        if errors:
            return undo(GateError(FIRST_FAILED), change, (), version, token, report)
        change.connection.call([accept_operation(version, change.items)], token=token)
        return None

    concluded = in_parallel(list(zip(changes, results, strict=True)), lambda pair: conclude(*pair))
    if errors:
        raise errors[0].with_others(each for each in concluded if each and (each in errors or not each.restored))
    return [result for result in results if not isinstance(result, ProvisioningError)]


def is_serving(changes: Sequence[NodeChange]) -> bool:
    """Whether a node of the group serves clients, so that the nodes are changed one by one."""
    return any(change.facts.addresses or runs(change.facts, "keepalived") for change in changes)


def _find_broken(changes: Sequence[NodeChange]) -> set[str]:
    """The nodes of the last rollout that do not serve. A node that has had no rollout is not among them."""
    states = in_parallel(changes, lambda change: read_state(change.connection, ()))
    return {state.node.name for state in states if any(state.health.values())}


def make_surroundings(
    inventory: Inventory,
    change: NodeChange,
    changes: Sequence[NodeChange],
    report: Callable[[str], None],
    confirm: Confirm,
) -> Surroundings:
    """The node of one change, and the rest of its group."""
    others = tuple(other.connection for other in changes if other is not change)
    reached = {each.node.name for each in changes}
    unreachable = tuple(
        NodeState(node, unreachable="it is left out of this rollout")
        for node in inventory.nodes
        if node.name not in reached
    )
    return Surroundings(change.connection, others, unreachable, inventory.virtual_ips, confirm, report)


def change_one(
    around: Surroundings, change: NodeChange, commit: Callable[[], tuple[str, ...]], *, masters: set[str]
) -> tuple[str, ...]:
    """Change one node while the others serve: out of service before, and back afterwards.

    Only services that will restart leave the upstreams: a restart cuts off requests in progress. `masters` are the
    names of the nodes that hold a virtual IP; the new masters are added after a switchover. A node that fails and
    cannot be rolled back stays out of the upstreams.
    """
    plan, restarts = change.plan, change.plan.restarts()
    gates = [item for item in change.items if isinstance(item, Gate) and item.name in restarts]
    has_peer = any(other.node.eligible for other in around.others)
    switches = bool(change.node.name in masters and has_peer and plan.cuts_off_clients())
    if not (gates or switches or plan.drained):
        return commit()
    if gates or switches:
        ports = [urlsplit(gate.url).port or 80 for gate in gates]
        moves = take_out(around, Extent([gate.name for gate in gates], ports, virtual_ips=switches))
        masters.update(move.to for move in moves)
    try:
        lines = commit()
    except ProvisioningError as error:
        with suppress(ProvisioningError):  # do not hide the original error
            if error.restored:
                put_back(around)
            elif switches or plan.drained:
                change.connection.call([{"do": "end_drain"}])
        raise
    put_back(around)
    return lines


def _commit_or_restore(
    change: NodeChange, peers: Sequence[Target], version: Version, token: str, report: Callable[[str], None]
) -> tuple[str, ...]:
    try:
        return _commit(change, token, version)
    except ProvisioningError as error:
        raise undo(error, change, peers, version, token, report) from None


def undo(  # noqa: PLR0917 - as in _commit_or_restore, and the error
    error: ProvisioningError,
    change: NodeChange,
    peers: Sequence[Target],
    version: Version,
    token: str,
    report: Callable[[str], None],
    *,
    facts: Facts | None = None,
) -> ProvisioningError:
    """Roll the node back, unless its previous version is what has just failed. Returns the error to raise.

    `facts` have the version to return to if this rollout has accepted parts; default: those before the rollout.
    """
    same = change.facts.versions.revision == version.revision and not change.plan.changed_paths()
    if same and not change.plan.restarts():
        error.message += f"; {change.node.name} had this revision before, so there is nothing to restore"
        return error
    return restore_after(error, change.target, facts or change.facts, peers, token=token, report=report)


def _commit(change: NodeChange, token: str, accept: Version | None) -> tuple[str, ...]:
    """Commit, wait for the health gates, and record `accept` as the current version, in one call to the agent."""
    if not change.plan:
        return ()
    gates = [gate_operation(item, token) for item in change.items if item.phase is Phase.GATE]
    operations = [
        commit_operation(change.plan),
        *gates,
        {"do": "reset_restarts", "units": [unit for item in change.items for unit in item.units()]},
        *([accept_operation(accept, change.items)] if accept else []),
    ]
    deadline_s = 600.0 + sum(gate["deadline_s"] for gate in gates) + _commit_s(change.plan)
    return tuple(change.connection.call(operations, token=token, deadline_s=deadline_s)[0])


def _commit_s(plan: Plan) -> float:
    return sum(step.item.commit_s() for step in plan.commit)


def report_plans(changes: Sequence[NodeChange], report: Callable[[str], None]) -> None:
    for change in changes:
        lines = describe(change.plan)
        for line in lines[:REPORTED_LINES]:
            report(f"{change.node.name}: {line}")
        if more := len(lines[REPORTED_LINES:]):
            report(f"{change.node.name}: ... and {more} more")


def _report_done(changes: Sequence[NodeChange], done: Sequence[tuple[str, ...]], report: Callable[[str], None]) -> None:
    for change, lines in zip(changes, done, strict=True):
        report(
            f"{change.node.name}: " + (f"{count(len(lines), 'change')}, health gates passed" if lines else "no changes")
        )
