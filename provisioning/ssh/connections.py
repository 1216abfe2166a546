"""Opens connections to nodes. Imports paramiko (0.4 s) at the first one: most runs of the program open none."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from provisioning.errors import ProvisioningError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.parallel import in_parallel
from provisioning.ssh.agent_calls import Connection

# The key that logs in, or several in the order in which they are tried.
Keys = str | Sequence[str]
Connect = Callable[[RemoteNode], Connection]
T = TypeVar("T")
ANNOUNCED_S = 3.0
_named: set[str] = set()  # the nodes that were named in this process


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def ask_each(
    nodes: Sequence[RemoteNode], connect: Connect, ask: Callable[[Connection], T]
) -> list[T | ProvisioningError]:
    """Connect to the nodes in parallel, ask each of them, and close the connections. Failures are returned."""

    def ask_one(node: RemoteNode) -> T | ProvisioningError:
        try:
            connection = connect(node)
        except ProvisioningError as error:
            return error
        try:
            return ask(connection)
        except ProvisioningError as error:
            return error
        finally:
            connection.close()

    return in_parallel(nodes, ask_one)


class _Shared:
    """A connection that its users do not close."""

    def __init__(self, connection: Connection) -> None:
        self.node, self.call = connection.node, connection.call

    def close(self) -> None:
        pass


@contextmanager
def shared(connect: Connect) -> Generator[Connect]:
    """Yield a function that connects to each node once, for several questions one after the other.

    A node that could not be reached is not tried again. The connections are closed at the end.
    """
    opened: dict[str, Connection | ProvisioningError] = {}

    def connect_once(node: RemoteNode) -> Connection:
        if node.name not in opened:
            try:
                opened[node.name] = connect(node)
            except ProvisioningError as error:
                opened[node.name] = error
        found = opened[node.name]
        if isinstance(found, ProvisioningError):
            raise found
        return _Shared(found)

    try:
        yield connect_once
    finally:
        for connection in opened.values():
            if not isinstance(connection, ProvisioningError):
                connection.close()


def connector(inventory: Inventory, *, deadline_s: float = 60.0) -> Connect:
    """Return a function that connects to a node of the inventory; see `provisioning.ssh.transport.connector`.

    Names a node that does not answer soon on stderr, once.
    """
    from provisioning.ssh import transport  # noqa: PLC0415 - the reason for this module

    return announced(transport.connector(inventory, deadline_s=deadline_s), _named)


def announced(
    connect: Connect, named: set[str], *, after_s: float = ANNOUNCED_S, report: Callable[[str], None] = _to_stderr
) -> Connect:
    """Report a node for which `connect` waits longer, unless it is in `named`, and add it."""

    def name(node: RemoteNode) -> None:
        if node.name not in named:
            named.add(node.name)
            report(f"waiting for {node.name} ({node.private_address}) ...")

    def connect_to(node: RemoteNode) -> Connection:
        timer = threading.Timer(after_s, name, [node])
        timer.daemon = True
        timer.start()
        try:
            return connect(node)
        finally:
            timer.cancel()

    return connect_to
