"""Connects to the nodes of a group, and decides whether a rollout may continue without unreachable nodes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from provisioning.errors import HostKeyError, UnreachableError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.parallel import in_parallel
from provisioning.ssh.agent_calls import Connection

KEEPALIVED_CONF = "/etc/keepalived/keepalived.conf"


@dataclass(frozen=True, slots=True)
class Reached:
    """The connections to the nodes that could be reached, and the errors of the others, by node name."""

    connections: dict[str, Connection]
    unreachable: dict[str, UnreachableError]

    @property
    def first_error(self) -> UnreachableError | None:
        return next(iter(self.unreachable.values()), None)


@contextmanager
def connected(inventory: Inventory, connect: Callable[[RemoteNode], Connection]) -> Generator[Reached]:
    """Connect to all nodes in parallel. Raises HostKeyError: a node with another host key is not merely unreachable."""
    reached = Reached({}, {})

    def open_connection(node: RemoteNode) -> None:
        try:
            reached.connections[node.name] = connect(node)
        except HostKeyError:
            raise
        except UnreachableError as error:
            reached.unreachable[node.name] = error

    try:
        in_parallel(inventory.nodes, open_connection)
        yield reached
    finally:
        for connection in reached.connections.values():
            connection.close()


def refuse_to_skip(inventory: Inventory, reached: Reached) -> None:
    """Raises UnreachableError unless all nodes, or at least one eligible node, can be reached.

    During a rotation of the deployment key all must be: the state would lose the key that a skipped node accepts.
    """
    error = reached.first_error
    if error and inventory.other_private_key:
        error.message += "; the deployment key cannot be rotated without this node, which would accept only the old key"
        raise error
    if error and not any(node.eligible and node.name in reached.connections for node in inventory.nodes):
        error.message += "; no eligible node can be reached, so the rollout cannot skip it"
        raise error


def refuse_unsafe_change(inventory: Inventory, reached: Reached, changed_paths: Sequence[str]) -> None:
    """Raises UnreachableError if keepalived changes while an eligible node cannot be reached.

    That node may still be running: with different VRRP settings both nodes would hold the virtual IP.
    """
    if KEEPALIVED_CONF not in changed_paths:
        return
    for node in inventory.nodes:
        if node.eligible and (error := reached.unreachable.get(node.name)):
            error.message += f"; {KEEPALIVED_CONF} cannot change without it: both nodes could hold the virtual IP"
            raise error
