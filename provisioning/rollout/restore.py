"""Restores one node to its previous version, after a failed commit or on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.errors import GateError, LockedError, ProvisioningError, UnreachableError
from provisioning.facts import Facts
from provisioning.kinds.base import Item, Phase
from provisioning.kinds.gate import Gate
from provisioning.parallel import in_parallel
from provisioning.plan import gate_operation
from provisioning.rollout.versions import all_gates, recorded_gates
from provisioning.ssh.agent_calls import Connection

_UNITS_DEADLINE_S = 600.0
_PEER_DEADLINE_S = 5.0  # one check of a node that has not changed


@dataclass(frozen=True, slots=True)
class Target:
    """A node to restore, or one of its peers, with the items of the version that failed."""

    connection: Connection
    items: Sequence[Item]


def restore_after(
    error: ProvisioningError,
    node: Target,
    facts: Facts,
    peers: Sequence[Target],
    *,
    token: str,
    report: Callable[[str], None],
) -> ProvisioningError:
    """Roll the node back after a failed commit. Returns the error to raise, which says whether that succeeded.

    The previous version must pass what the rollout asks, a login and an authorization decision included.
    """
    name = node.connection.node.name
    if isinstance(error, (UnreachableError, LockedError)):
        return error  # nothing can be changed on the node; the next run converges
    report(f"{name}: {error.message}; rolling it back")
    try:
        common = _restore_version(node, facts, peers, token)
    except ProvisioningError as failed:
        error.message += f"; {name} could not be rolled back"
        error.seen += f"\nrollback: {failed}"
        return error
    error.restored = True
    error.message += (
        f"; {name} was rolled back to its previous version"
        if facts.versions.current
        else f"; what this first rollout had started on {name} was stopped and disabled"
    )
    if common:
        error.message += ", which fails too, as on every other node"
        error.seen += f"\nafter the rollback: {common.message}"
    return error


def _restore_version(node: Target, facts: Facts, peers: Sequence[Target], token: str) -> GateError | None:
    """Returns the failed login if it fails on all peers too: then the node is as good as they are.

    This happens while a database that all nodes use is away. Raises ProvisioningError.
    """
    operation = {"do": "roll_back"}
    try:
        restore(node.connection, operation, all_gates(facts.versions.current, node.items), token)
    except GateError as failed:
        asked = [peer for peer in peers if _logins(peer)]  # not the bastion, which has no services
        if not asked or any(in_parallel(asked, _passes_login)):
            raise
        restore(node.connection, operation, recorded_gates(facts.versions.current), token)
        return failed
    return None


def _logins(peer: Target) -> list[Item]:
    return [item for item in peer.items if item.phase is Phase.GATE and not isinstance(item, Gate)]


def _passes_login(peer: Target) -> bool:
    gates = [{**gate_operation(item), "deadline_s": _PEER_DEADLINE_S} for item in _logins(peer)]
    try:
        peer.connection.call(gates, deadline_s=_UNITS_DEADLINE_S)
    except ProvisioningError:
        return False
    return True


def restore(connection: Connection, operation: Mapping[str, Any], gates: Sequence[Item], token: str) -> tuple[str, ...]:
    """Restore the previous version with `roll_back` or `revert`, then wait for its gates. Returns the changes made.

    Raises:
        GateError: the previous version did not pass its health gates.
        ProvisioningError: a step failed on the node.
    """
    waits = [gate_operation(gate) for gate in gates]
    operations = [dict(operation), *waits, {"do": "finish_rollback"}]
    deadline_s = _UNITS_DEADLINE_S + sum(wait["deadline_s"] for wait in waits)
    return tuple(connection.call(operations, token=token, deadline_s=deadline_s)[0])
