"""Opens connections to nodes. Imports paramiko (0.4 s) at the first one: most runs of the program open none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from provisioning.agent_calls import Connection
from provisioning.inventory import Inventory, RemoteNode

# The key that logs in, or several in the order in which they are tried.
Keys = str | Sequence[str]


def connector(inventory: Inventory, *, deadline_s: float = 60.0) -> Callable[[RemoteNode], Connection]:
    """Return a function that connects to a node of the inventory; see `provisioning.transport.connector`."""
    from provisioning import transport  # noqa: PLC0415 - the reason for this module

    return transport.connector(inventory, deadline_s=deadline_s)
