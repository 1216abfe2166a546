"""Returns a group from its newest revision to the previous one, and marks the newest one as rejected on the nodes.

The node keeps what is needed for this (agent/previous.py), so neither the program nor the settings of the previous
revision are required. Rows in databases, packages and releases are not touched.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from provisioning.change_lock import Lock, locked, this_process
from provisioning.errors import ProvisioningError
from provisioning.facts import Facts, question
from provisioning.health.results import count
from provisioning.inventory import Inventory, RemoteNode
from provisioning.kinds.base import Item
from provisioning.kinds.vrrp import Vrrp
from provisioning.leaving import describe_entry
from provisioning.parallel import in_parallel
from provisioning.plan import Plan
from provisioning.rollout.commit import NodeChange, change_one, make_surroundings
from provisioning.rollout.restore import restore
from provisioning.rollout.versions import all_gates
from provisioning.ssh.agent_calls import Connection
from provisioning.ssh.connections import Connect, connector
from provisioning.ssh.reachable import Reached, connected
from provisioning.traffic.havip import Confirm, confirm_with

Report = Callable[[str], None]
# Removed items without which the previous version runs: the operator logs in with the present key.
_NOT_NEEDED = frozenset({"authorized_key"})


@dataclass(frozen=True, slots=True)
class RollbackResult:
    rejected: str  # the revision that was rolled back
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])


def roll_back(
    inventory: Inventory,
    items: Mapping[str, Sequence[Item]],
    report: Report,
    connect: Connect | None = None,
    confirm: Confirm | None = None,
) -> RollbackResult:
    """Return all nodes from the newest revision to the previous one. A repeated call continues an interrupted one.

    `items` are those of the newest revision by node name, without placeholders.

    Raises:
        GateError: a node did not pass the health gates of its previous version; the rollback stopped there.
        LockedError, UnreachableError, NodeError: as in a rollout.
        ProvisioningError: no node keeps a previous version; nothing was changed.
    """
    with connected(inventory, connect or connector(inventory)) as reached:
        if reached.first_error:
            raise reached.first_error
        with locked([*reached.connections.values()], report) as lock:
            changes = _plan_rollback(inventory, reached, lock, items)
            newest = _newest_revision(changes)
            returning = [change for change in changes if _returns(change.facts, newest)]
            if not returning:
                # An interrupted rollback may have left a node out of the upstreams.
                in_parallel(changes, lambda change: change.connection.call([{"do": "join"}]))
                raise _nothing_to_restore(changes, newest)
            _refuse_stuck(changes, returning, newest)
            _refuse_missing(returning)
            _refuse_removed(changes, newest)
            _refuse_vrrp_settings(changes, newest)
            confirm = confirm or confirm_with(inventory, os.environ)
            _reject(changes, newest, lock.token)
            report(f"revision {newest} is marked as rejected")
            return RollbackResult(
                newest,
                _restore_all(inventory, changes, returning, newest, token=lock.token, report=report, confirm=confirm),
            )


def pardon(inventory: Inventory, connect: Connect | None = None) -> list[str]:
    """Remove the marks of rejected revisions from all nodes. Returns these revisions."""
    with connected(inventory, connect or connector(inventory)) as reached:
        if reached.first_error:
            raise reached.first_error
        with locked([*reached.connections.values()]) as lock:
            connections = reached.connections.values()
            found = [connection.call([{"do": "pardon"}], token=lock.token)[0] for connection in connections]
    return sorted({revision for revisions in found for revision in revisions})


def _read(connection: Connection, inventory: Inventory) -> Facts:
    return Facts.from_answer(connection.call([question((Vrrp(""),), inventory.virtual_ips)])[0])


def _plan_rollback(
    inventory: Inventory, reached: Reached, lock: Lock, items: Mapping[str, Sequence[Item]]
) -> list[NodeChange]:
    """Each node with its present health gates and the reloads and restarts of its rollback, as a plan without steps."""

    def plan(node: RemoteNode) -> NodeChange:
        connection = lock.on(reached.connections[node.name])
        facts = _read(connection, inventory)
        ways = (facts.versions.unfinished, facts.versions.way_back)
        pending = tuple(dict.fromkeys([*facts.pending, *(action for way in ways if way for action in way["actions"])]))
        gates = tuple(all_gates(facts.versions.current, items.get(node.name, ())))
        return NodeChange(node, connection, gates, facts, Plan(node.name, pending=pending, drained=facts.draining))

    return in_parallel(inventory.nodes, plan)


def _newest_revision(changes: Sequence[NodeChange]) -> str:
    records = [
        record
        for change in changes
        for record in (change.facts.versions.current, change.facts.versions.unfinished)
        if record
    ]
    return str(max(records, key=lambda record: int(record["serial"]))["revision"]) if records else ""


def _returns(facts: Facts, newest: str) -> bool:
    """Whether the node has the newest revision, or a part of it, and keeps the version before it."""
    versions, way_back = facts.versions, facts.versions.way_back
    if way_back is not None and way_back is versions.unfinished:
        return way_back["base"] is not None
    return way_back is not None and versions.revision == newest == way_back["revision"]


def _nothing_to_restore(changes: Sequence[NodeChange], newest: str) -> ProvisioningError:
    found = [f"{each.node.name}: {each.facts.versions.revision or 'no finished rollout'}" for each in changes]
    return ProvisioningError(
        "there is no previous version to return to; nothing was changed",
        seen="\n".join(found),
        look_at=f"tandem status; {newest or 'the current revision'} is the first one, or the last rollback restored it",
    )


def _refuse_stuck(changes: Sequence[NodeChange], returning: Sequence[NodeChange], newest: str) -> None:
    """A node that has used up its way back would keep the revision that the others leave."""
    stuck = [each.node.name for each in changes if each.facts.versions.revision == newest and each not in returning]
    if stuck:
        others = ", ".join(each.node.name for each in returning)
        raise ProvisioningError(
            f"{', '.join(stuck)} cannot return from revision {newest}, but {others} can, and the nodes would have "
            "different versions; nothing was changed",
            look_at="deploy the previous version from its program and settings instead: tandem up",
        )


def _refuse_missing(returning: Sequence[NodeChange]) -> None:
    for change in returning:
        if change.facts.versions.way_back and (missing := change.facts.versions.way_back["missing"]):
            raise ProvisioningError(
                f"{change.node.name}: {', '.join(missing)} of the previous version no longer exists; "
                "nothing was changed",
                look_at="deploy the previous version from its program and settings instead: tandem up",
            )


def _refuse_removed(changes: Sequence[NodeChange], newest: str) -> None:
    """A removal keeps nothing: the previous version would run without the account or password that it logs in with."""
    found = [
        f"{change.node.name}: {describe_entry(entry)}"
        for change in changes
        for entry in change.facts.removed
        if change.facts.versions.revision == newest and entry["kind"] not in _NOT_NEEDED
    ]
    if found:
        raise ProvisioningError(
            f"revision {newest} has removed what the previous version needs; nothing was changed",
            seen="\n".join(found),
            look_at="deploy the previous version from its program and settings instead: tandem up. Keep the present "
            "numbers in tandem:credentials.generation: a lower number generates yet another secret",
        )


def _refuse_vrrp_settings(changes: Sequence[NodeChange], newest: str) -> None:
    """The nodes are restored one by one, and with different VRRP settings two nodes would hold the virtual IP."""
    for change in changes:
        if change.facts.of(Vrrp("")).get("revision") == newest:
            raise ProvisioningError(
                f"revision {newest} changed the VRRP settings, which all nodes must share; nothing was changed",
                look_at="deploy the previous version from its program and settings instead: tandem up",
            )


def _reject(changes: Sequence[NodeChange], revision: str, token: str) -> None:
    """Mark the revision on all nodes before any of them changes, so that no rollout continues with it."""
    me, now = this_process(), dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    mark = {"do": "reject", "revision": revision, "at": now, "by": f"{me['user']}@{me['host']}"}
    in_parallel(changes, lambda change: change.connection.call([mark], token=token))


def _restore_all(
    inventory: Inventory,
    changes: Sequence[NodeChange],
    returning: Sequence[NodeChange],
    newest: str,
    *,
    token: str,
    report: Report,
    confirm: Confirm,
) -> dict[str, tuple[str, ...]]:
    """Restore node by node, the master last."""
    done: dict[str, tuple[str, ...]] = {}
    masters = {change.node.name for change in changes if change.facts.addresses}
    for change in sorted(returning, key=lambda change: bool(change.facts.addresses)):
        name = change.node.name
        report(f"{name}: returning to the previous version")
        try:
            around = make_surroundings(inventory, change, changes, report, confirm)
            done[name] = change_one(around, change, partial(_revert, change, newest, token), masters=masters)
        except ProvisioningError as error:
            earlier = f" ({', '.join(done)} returned before it)" if done else ""
            error.message += f"; the rollback stopped there{earlier}"
            raise
        report(f"{name}: {count(len(done[name]), 'change')}, health gates passed")
    return done


def _revert(change: NodeChange, revision: str, token: str) -> tuple[str, ...]:
    way_back = change.facts.versions.way_back
    gates = all_gates(way_back["base"] if way_back else None, change.items)
    return restore(change.connection, {"do": "revert", "revision": revision}, gates, token)
