"""`tandem rollback` and `tandem up --force`: the revisions on the nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from operations.errors import NoDeploymentError, OperationError
from operations.selection import Selection
from operations.state_format import read_outputs
from provisioning.errors import ProvisioningError
from provisioning.exports import parse_exports
from provisioning.inventory import Inventory, RemoteNode
from provisioning.kinds.base import Item
from provisioning.rollout import rollback
from provisioning.ssh.agent_calls import Connection

Connect = Callable[[RemoteNode], Connection]
Report = Callable[[str], None]
_ROLLOUT = "**tandem:Rollout::rollout"


def find_inventory(deployment: Mapping[str, Any], stack: str) -> Inventory:
    """The nodes of the last deployment, from the recorded state. Raises NoDeploymentError if there is none."""
    exports = parse_exports(read_outputs(deployment))
    if exports is None:
        raise NoDeploymentError(stack)
    return exports.inventory


class Refreshing(Protocol):
    """The part of `Engine` that a rollback uses."""

    def refresh(self, selection: Selection) -> None: ...


def roll_back(
    engine: Refreshing,
    inventory: Inventory,
    items: Mapping[str, Sequence[Item]],
    report: Report,
    connect: Connect | None = None,
) -> str:
    """Return the group to its previous revision. Returns the revision that is rejected now.

    The refresh records the difference from the program, so that the next `up` is refused even without a refresh.

    Raises:
        OperationError: the rollback failed, or there is no previous revision.
        EngineError: the refresh failed.
    """
    try:
        rejected = rollback.roll_back(inventory, items, report, connect).rejected
    except ProvisioningError as error:
        raise OperationError(str(error)) from None
    engine.refresh(Selection(target=[_ROLLOUT]))
    return rejected


def pardon(inventory: Inventory, report: Report, connect: Connect | None = None) -> None:
    """Allow rollouts of rejected revisions again. Raises OperationError."""
    try:
        revisions = rollback.pardon(inventory, connect)
    except ProvisioningError as error:
        raise OperationError(str(error)) from None
    for revision in revisions:
        report(f"Revision {revision} is no longer marked as rejected.")
