"""Applies the manifests to the nodes of a group while the group serves.

1. Gather the facts of all nodes in parallel. If no node differs, this one call to each node is all.
2. Send archives, take the change lock on every node, install packages and create directories. The facts are gathered
   again only from nodes on which a change was started since.
3. Stage and validate the candidates on all nodes. Nothing in use changes until all nodes have accepted them.
4. Commit in the order of order.py: what other nodes need, then node by node, each followed by its health gates and the
   master last, then what other nodes needed until then. A switchover precedes a change of the master that cuts off
   clients. A node that fails is rolled back to its previous version, and the rollout stops. While no node serves yet,
   all nodes are committed in parallel.
5. Remove the items that left the manifests, unless a node was skipped, which may still need them.

A run that follows an interrupted one converges: it gathers the facts again, unfinished reloads are recorded on the
node's disk, and the lock of an owner that has ended is released or expires.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from provisioning.change_lock import Lock, locked
from provisioning.errors import HealthError, LostDataError, ProvisioningError
from provisioning.facts import Facts, question
from provisioning.health.group_checks import check_audit, find_queue
from provisioning.health.results import Level
from provisioning.inventory import Inventory, RemoteNode
from provisioning.kinds.base import Item
from provisioning.manifest import Manifest
from provisioning.parallel import in_parallel
from provisioning.plan import changed_units, make_plan, prepare_operation
from provisioning.rollout import held_data
from provisioning.rollout.commit import NodeChange, report_plans, stage
from provisioning.rollout.desired import replace_secrets, revision_of, with_bastion
from provisioning.rollout.order import vrrp_of
from provisioning.rollout.removal import keep_for, remove_all, stop_demoted
from provisioning.rollout.rounds import commit_in_order
from provisioning.rollout.uploads import send_archives
from provisioning.rollout.versions import Version, next_version, refuse_rejected
from provisioning.services.iam import PUMP_UNIT
from provisioning.services.iam_files import refuse_invalid_yaml
from provisioning.ssh.agent_calls import Connection
from provisioning.ssh.connections import connector
from provisioning.ssh.reachable import Reached, connected, refuse_to_skip, refuse_unsafe_change
from provisioning.traffic.havip import Confirm, confirm_with
from provisioning.traffic.switchover import return_preferred
from settings.rollout import Unreachable

PREPARE_DEADLINE_S = 2400.0


@dataclass(frozen=True, slots=True)
class RolloutResult:
    revision: str  # hash of all manifests including secrets
    # Changes made, by node name.
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    incomplete: tuple[str, ...] = ()  # nodes that could not be reached; the next rollout completes them


def roll_out(
    inventory: Inventory,
    manifests: Mapping[str, Manifest],
    secrets: Mapping[str, str],
    report: Callable[[str], None] = lambda _line: None,
    *,
    unreachable: Unreachable = "stop",
    connect: Callable[[RemoteNode], Connection] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    confirm: Confirm | None = None,
) -> RolloutResult:
    """Apply the manifests to all nodes. Idempotent. `commit_began` of an error says whether nodes may have changed.

    Raises:
        CandidateError: a node rejected its candidates; no configuration and no running service was changed.
        LostDataError: a database has held data and is empty now; no database was created.
        GateError: a node failed its health gate; the rollout stopped there.
        HealthError: all nodes have changed, but no audit record passes through iam-pump.
        LockedError: another rollout holds the change lock.
        RejectedError: this revision was rolled back before; nothing was changed.
        UnreachableError: a node cannot be reached, and `unreachable` is "stop" or the change needs all nodes.
        NodeError: a step failed on a node.
    """
    inventory, manifests = with_bastion(inventory, manifests)
    desired = replace_secrets(inventory, manifests, secrets)
    for name, items in desired.items():
        refuse_invalid_yaml(name, items)
    revision = revision_of(desired)
    connect = connect or connector(inventory)
    confirm = confirm or confirm_with(inventory, os.environ)
    with connected(inventory, connect) as reached:
        _handle_unreachable(inventory, reached, unreachable, report)
        skipped = tuple(sorted(reached.unreachable))
        gather = partial(_gather_facts, inventory, desired)
        reconnect = partial(_reconnect, reached.connections, connect)
        try:
            changes = in_parallel(list(reached.connections.values()), gather)
            held_data.refuse(changes)
            if held_data.is_recorded(changes) and not any(change.plan for change in changes):
                report("all nodes match their manifests" if not skipped else "all nodes that were reached match")
                return RolloutResult(revision, incomplete=skipped)
            _refuse(inventory, reached, changes, revision)
            changes = in_parallel(changes, lambda change: _send(change, reconnect, report))
            with locked([*reached.connections.values()], report, sleep) as lock:
                changes = in_parallel(changes, lambda change: _confirm(change, lock, gather))
                _refuse(inventory, reached, changes, revision)  # another operator may have rolled it back since
                changed = _change(
                    inventory, changes, skipped, revision=revision, token=lock.token, report=report, confirm=confirm
                )
                return RolloutResult(revision, changed, skipped)
        except LostDataError as error:
            raise held_data.explain(error, [*reached.connections.values()]) from None


def _handle_unreachable(
    inventory: Inventory, reached: Reached, policy: Unreachable, report: Callable[[str], None]
) -> None:
    """Raises UnreachableError if the rollout cannot continue without the nodes that could not be reached."""
    if reached.first_error and policy == "stop":
        raise reached.first_error
    refuse_to_skip(inventory, reached)
    for name, error in reached.unreachable.items():
        report(f"warning: {name} is skipped, because it cannot be reached: {error.message}")


def _refuse(inventory: Inventory, reached: Reached, changes: Sequence[NodeChange], revision: str) -> None:
    """Raises RejectedError, UnreachableError: nothing was changed."""
    refuse_rejected(revision, [change.facts for change in changes])
    refuse_unsafe_change(inventory, reached, [path for change in changes for path in change.plan.changed_paths()])


def _change(
    inventory: Inventory,
    changes: Sequence[NodeChange],
    skipped: Sequence[str],
    *,
    revision: str,
    token: str,
    report: Callable[[str], None],
    confirm: Confirm,
) -> Mapping[str, tuple[str, ...]]:
    """Make the changes while the lock is held. Returns them by node name."""
    report_plans(changes, report)
    held_data.spread(changes, token)
    changes = in_parallel(changes, lambda change: _prepare(inventory, change, token, report))
    held_data.refuse(changes)
    if skipped:
        changes = keep_for(skipped, changes, report)
    version = next_version(revision, [change.facts for change in changes])
    _stage_all(changes, version, token)
    report("all nodes accepted the candidates")
    with _commit_began():
        stop_demoted(inventory, changes, token, report, confirm)
        changed = commit_in_order(inventory, changes, version, token, report, confirm=confirm)
        preferred = [(change.connection, vrrp.preferred) for change in changes if (vrrp := vrrp_of(change.items))]
        return_preferred(preferred, inventory.virtual_ips, confirm, report)
        changed = remove_all(() if skipped else changes, changed, token)
        held_data.record(changes, token)
        _follow_audit_record(changes, token)
    return changed


def _stage_all(changes: Sequence[NodeChange], version: Version, token: str) -> None:
    try:
        stage(changes, version, token)
    except ProvisioningError as error:
        error.message += "; no configuration and no running service was changed"  # packages may have been installed
        raise


@contextmanager
def _commit_began() -> Generator[None]:
    try:
        yield
    except ProvisioningError as error:
        error.commit_began = True
        raise


def _follow_audit_record(changes: Sequence[NodeChange], token: str) -> None:
    """Wait until a decision of the health gates has passed through iam-pump, if a pump has been restarted.

    Not a gate of one node: the pumps share the queue, so any of them may move a record. Raises HealthError.
    """
    queue = find_queue({change.node.name: change.items for change in changes})
    if queue is None or not any(PUMP_UNIT in changed_units(change.plan) for change in changes):
        return
    result = check_audit([change.connection for change in changes], queue, token)
    if result.level is Level.FAIL:
        raise HealthError(f"all nodes have changed, but {result.name}: {result.seen}", look_at=result.look_at)


def _gather_facts(inventory: Inventory, desired: Mapping[str, tuple[Item, ...]], connection: Connection) -> NodeChange:
    items = desired[connection.node.name]
    return _compare(connection, items, connection.call([question(items, inventory.virtual_ips)])[0])


def _compare(connection: Connection, items: tuple[Item, ...], answer: Mapping[str, Any]) -> NodeChange:
    node, facts = connection.node, Facts.from_answer(answer)
    return NodeChange(node, connection, items, facts, make_plan(node.name, items, facts))


def _send(
    change: NodeChange, reconnect: Callable[[RemoteNode], Connection], report: Callable[[str], None]
) -> NodeChange:
    """Send the archives that the node lacks. This needs no lock, so a slow transfer does not block other operators."""
    return replace(change, connection=send_archives(change.connection, change.plan, reconnect, report))


def _confirm(change: NodeChange, lock: Lock, gather: Callable[[Connection], NodeChange]) -> NodeChange:
    """Gather the facts again if a change was started since, or was running then. From now on, calls carry the token."""
    connection = lock.on(change.connection)
    if change.facts.changes == lock.changes[change.node.name]:
        return replace(change, connection=connection)
    return gather(connection)


def _prepare(inventory: Inventory, change: NodeChange, token: str, report: Callable[[str], None]) -> NodeChange:
    """Install packages and create users and directories; gather the facts again in the same call.

    Does not affect running services.
    """
    if not change.plan.prepare:
        return change
    _, answer = change.connection.call(
        [prepare_operation(change.plan), question(change.items, inventory.virtual_ips)],
        token=token,
        deadline_s=PREPARE_DEADLINE_S,
        report=lambda line: report(f"{change.node.name}: {line}"),
    )
    return _compare(change.connection, change.items, answer)


def _reconnect(
    connections: dict[str, Connection], connect: Callable[[RemoteNode], Connection], node: RemoteNode
) -> Connection:
    connections[node.name].close()
    connections[node.name] = connect(node)
    return connections[node.name]
