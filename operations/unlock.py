"""`tandem unlock`: shows the change locks on the nodes, and releases them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.agent_calls import Connection, describe_lease
from provisioning.change_lock import break_lock, find_lock
from provisioning.connections import connector
from provisioning.errors import ProvisioningError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.parallel import in_parallel

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


def find_locks(inventory: Inventory, connect: Callable[[RemoteNode], Connection] | None = None) -> tuple[NodeLock, ...]:
    """Read the lock of every node. A node that cannot be reached raises no exception."""

    def find(node: RemoteNode, connection: Connection) -> NodeLock:
        return NodeLock(node, find_lock(connection))

    return tuple(_on_each(inventory.nodes, inventory, connect, find))


def release_locks(
    inventory: Inventory,
    locks: tuple[NodeLock, ...],
    connect: Callable[[RemoteNode], Connection] | None = None,
) -> tuple[str, ...]:
    """Release the given locks, and no newer ones. Returns the result for each node."""
    leases = {lock.node.name: lock.lease for lock in locks if lock.lease}

    def release(node: RemoteNode, connection: Connection) -> NodeLock:
        if break_lock(connection, leases[node.name] or {}):
            return NodeLock(node, None, "unlocked")
        return NodeLock(node, None, "its lock was released or taken by another owner in the meantime; nothing changed")

    nodes = tuple(node for node in inventory.nodes if node.name in leases)
    return tuple(lock.describe() for lock in _on_each(nodes, inventory, connect, release))


def _on_each(
    nodes: tuple[RemoteNode, ...],
    inventory: Inventory,
    connect: Callable[[RemoteNode], Connection] | None,
    do: Callable[[RemoteNode, Connection], NodeLock],
) -> list[NodeLock]:
    to = connect or connector(inventory, deadline_s=SSH_DEADLINE_S)

    def on_one(node: RemoteNode) -> NodeLock:
        try:
            connection = to(node)
        except ProvisioningError as error:
            return NodeLock(node, None, error.message)
        try:
            return do(node, connection)
        except ProvisioningError as error:
            return NodeLock(node, None, error.message)
        finally:
            connection.close()

    return in_parallel(nodes, on_one)
