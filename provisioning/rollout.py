"""Bring the nodes of one group to their manifests, while the group goes on serving.

Facts of all nodes at once; nothing to do anywhere = done, after one call to each. Otherwise: archives, the lock
on every node, preparation, then every candidate staged and validated on all nodes; only when all have accepted
is anything in use touched. Then one node after the other, the one that holds the virtual IP last and after
handing it over; all at once only when nothing serves yet. A gate after each; a failed gate stops the rollout.

Killed anywhere, the next run converges: facts are asked anew, what was left pending is on the node's disk, and a
lock whose owner is dead is taken over.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.agent_calls import Connection
from provisioning.change_lock import locked
from provisioning.commit import NodeChange, commit_all, prepare, report_plans, stage
from provisioning.errors import ProvisioningError, UnreachableError
from provisioning.facts import Facts, question
from provisioning.inventory import Inventory, RemoteNode
from provisioning.kinds.archive import Archive
from provisioning.kinds.base import Thing
from provisioning.manifest import Manifest
from provisioning.parallel import at_once
from provisioning.placeholders import find_names
from provisioning.plan import changed_lines, make_plan
from provisioning.services import base
from provisioning.transport import connector

ARCHIVE_DEADLINE_S = 1800.0


@dataclass(frozen=True, slots=True)
class RolloutResult:
    revision: str  # of everything on all nodes, secrets included: the same text and values, the same revision
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])  # by host, in words


def roll_out(
    inventory: Inventory,
    manifests: Mapping[str, Manifest],
    secrets: Mapping[str, str],
    report: Callable[[str], None] = lambda _line: None,
    *,
    connect: Callable[[RemoteNode], Connection] | None = None,
) -> RolloutResult:
    """Make the manifests true. A second call changes nothing. Raises ProvisioningError."""
    inventory, manifests = _with_bastion(inventory, manifests)
    desired = _with_secrets(inventory, manifests, secrets)
    revision = revision_of(desired)
    with _connected(inventory, connect or connector(inventory)) as connections:
        changes = _look(inventory, connections, desired)
        if not any(change.plan for change in changes):
            report("nothing to do")
            return RolloutResult(revision)
        for change in changes:
            _send_archives(change, report)
        with locked([*connections.values()]) as token:
            changes = _look(inventory, connections, desired)
            report_plans(changes, report)
            if any(change.plan.prepare for change in changes):
                at_once(changes, lambda change: prepare(change, token))
                changes = _look(inventory, connections, desired)
            stage(changes, revision, token)
            report("candidates accepted on every node")
            return RolloutResult(revision, commit_all(inventory, changes, token, report))


def drift(
    inventory: Inventory,
    manifests: Mapping[str, Manifest],
    secrets: Mapping[str, str],
    *,
    connect: Callable[[RemoteNode], Connection] | None = None,
) -> dict[str, list[str]]:
    """What on each node is not as its manifest says; nodes without drift are left out.

    A node that is gone or unreachable is drift too, never an error: it is what a refresh is there to find.
    """
    inventory, manifests = _with_bastion(inventory, manifests)
    desired = _with_secrets(inventory, manifests, secrets)
    secret_paths = {
        name: frozenset(path for path, text in manifest.files().items() if find_names(text))
        for name, manifest in manifests.items()
    }
    to = connect or connector(inventory, deadline_s=5)

    def look(node: RemoteNode) -> list[str]:
        try:
            connection = to(node)
        except UnreachableError as error:
            return [f"unreachable: {error.message}"]
        try:
            things = desired[node.name]
            asked = question(things, inventory.virtual_ips)
            facts = Facts.from_answer(connection.call([asked])[0])
            return changed_lines(make_plan(node.name, things, facts), facts, secret_paths[node.name])
        except ProvisioningError as error:
            return [f"cannot be looked at: {error.message}"]
        finally:
            connection.close()

    found = at_once(inventory.nodes, look)
    return {node.name: lines for node, lines in zip(inventory.nodes, found, strict=True) if lines}


def revision_of(desired: Mapping[str, Sequence[Thing]]) -> str:
    data = {
        name: [[type(thing).__name__, dataclasses.asdict(thing)] for thing in things]
        for name, things in desired.items()
    }
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def _with_bastion(inventory: Inventory, manifests: Mapping[str, Manifest]) -> tuple[Inventory, Mapping[str, Manifest]]:
    """A bastion serves nothing; but its temporary host key has to go like that of any node."""
    bastion = inventory.bastion
    if bastion is None:
        return inventory, manifests
    alone = Manifest(bastion.name, tuple(base.without_temporary_key()))
    nodes = (*inventory.nodes, dataclasses.replace(bastion, eligible=False))
    return dataclasses.replace(inventory, nodes=nodes), {**manifests, bastion.name: alone}


def _with_secrets(
    inventory: Inventory, manifests: Mapping[str, Manifest], secrets: Mapping[str, str]
) -> dict[str, tuple[Thing, ...]]:
    missing = [node.name for node in inventory.nodes if node.name not in manifests]
    if missing:
        raise ProvisioningError(f"no manifest was given for {', '.join(missing)}", look_at="components/rollout.py")
    return {
        node.name: tuple(thing.with_secrets(secrets, node.name) for thing in manifests[node.name].things)
        for node in inventory.nodes
    }


# ---- reaching nodes -----------------------------------------------------------------------------------------


@contextmanager
def _connected(inventory: Inventory, connect: Callable[[RemoteNode], Connection]) -> Generator[dict[str, Connection]]:
    connections: dict[str, Connection] = {}

    def to(node: RemoteNode) -> None:
        connections[node.name] = connect(node)

    try:
        at_once(inventory.nodes, to)
        yield connections
    finally:
        for connection in connections.values():
            connection.close()


def _look(
    inventory: Inventory,
    connections: Mapping[str, Connection],
    desired: Mapping[str, tuple[Thing, ...]],
) -> list[NodeChange]:
    def look(node: RemoteNode) -> NodeChange:
        things = desired[node.name]
        facts = Facts.from_answer(connections[node.name].call([question(things, inventory.virtual_ips)])[0])
        return NodeChange(node, connections[node.name], things, facts, make_plan(node.name, things, facts))

    return at_once(inventory.nodes, look)


def _send_archives(change: NodeChange, report: Callable[[str], None]) -> None:
    """Before the lock is taken: a large file takes its time, and its path names its content."""
    for step in change.plan.prepare:
        if isinstance(step.thing, Archive):
            source = Path(step.thing.source)
            report(f"{change.node.name}: sending {source.name}")
            size = source.stat().st_size
            operation = {"do": "receive", "path": step.thing.path, "sha256": step.thing.sha256, "size": size}
            change.connection.call([operation], archive=source, deadline_s=ARCHIVE_DEADLINE_S)
