"""Restores one node to its previous version, after a failed commit or on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from provisioning.errors import LockedError, ProvisioningError, UnreachableError
from provisioning.facts import Facts
from provisioning.kinds.base import Item
from provisioning.plan import gate_operation
from provisioning.rollout.versions import recorded_gates
from provisioning.ssh.agent_calls import Connection

_UNITS_DEADLINE_S = 600.0


def restore_after(
    error: ProvisioningError, connection: Connection, facts: Facts, token: str, report: Callable[[str], None]
) -> ProvisioningError:
    """Roll the node back after a failed commit. Returns the error to raise, which says whether that succeeded."""
    name = connection.node.name
    if isinstance(error, (UnreachableError, LockedError)):
        return error  # nothing can be changed on the node; the next run converges
    report(f"{name}: {error.message}; rolling it back")
    try:
        restore(connection, {"do": "roll_back"}, recorded_gates(facts.versions.current), token)
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
    return error


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
