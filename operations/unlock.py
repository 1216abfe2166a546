"""`tandem unlock`: shows the change locks on the nodes, and releases them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.change_lock import break_lock, find_lock
from provisioning.errors import ProvisioningError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.ssh.agent_calls import Connection, describe_lease
from provisioning.ssh.connections import Connect, ask_each, connector

SSH_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class NodeLock:
    """The change lock of one node."""

    node: RemoteNode
    lease: Mapping[str, Any] | None
    error: str = ""  # why the node could not be asked

    def describe(self) -> str:
        """One line."""
        state = self.error or (describe_lease(self.lease) if self.lease else "not locked")
        return f"{self.node.name}: {state}"


def find_locks(inventory: Inventory, connect: Connect | None = None) -> tuple[NodeLock, ...]:
    """Read the lock of every node. A node that cannot be reached raises no exception."""
    connect = connect or connector(inventory, deadline_s=SSH_DEADLINE_S)
    found = ask_each(inventory.nodes, connect, find_lock)
    return tuple(
        NodeLock(node, None, lease.message) if isinstance(lease, ProvisioningError) else NodeLock(node, lease)
        for node, lease in zip(inventory.nodes, found, strict=True)
    )


def release_locks(inventory: Inventory, locks: tuple[NodeLock, ...], connect: Connect | None = None) -> tuple[str, ...]:
    """Release the given locks, and no newer ones. Returns the result for each node."""
    leases = {lock.node.name: lock.lease for lock in locks if lock.lease}
    nodes = [node for node in inventory.nodes if node.name in leases]

    def release(connection: Connection) -> str:
        if break_lock(connection, leases[connection.node.name]):
            return "unlocked"
        return "its lock was released or taken by another owner in the meantime; nothing changed"

    results = ask_each(nodes, connect or connector(inventory, deadline_s=SSH_DEADLINE_S), release)
    return tuple(
        f"{node.name}: {result.message if isinstance(result, ProvisioningError) else result}"
        for node, result in zip(nodes, results, strict=True)
    )
