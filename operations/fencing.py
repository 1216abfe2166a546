"""`tandem fence`: the last resort for a split pair (docs/split-brain.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from operations.errors import OperationError
from provisioning import cloud_calls
from provisioning.cloud_calls import CallApi
from provisioning.errors import ProvisioningError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.ssh.agent_calls import Connection
from provisioning.ssh.connections import connector
from provisioning.traffic.fencing import fence
from provisioning.traffic.serving import read_states

_CONNECT_S = 10.0


def run(
    inventory: Inventory,
    name: str,
    settings: Mapping[str, str],
    report: Callable[[str], None],
    *,
    connect: Callable[[RemoteNode], Connection] | None = None,
    open_api: Callable[[Mapping[str, str]], CallApi] = cloud_calls.connect,
) -> None:
    """Detach the virtual IPs from a node. Raises OperationError."""
    others = [node for node in inventory.nodes if node.eligible and node.name != name]
    opened = connect or connector(inventory, deadline_s=_CONNECT_S)
    states = read_states(others, opened, inventory.virtual_ips)
    try:
        detached = fence(open_api(settings), inventory, name, states, report)
    except ProvisioningError as error:
        raise OperationError(str(error)) from None
    if not detached:
        report(f"{name}: no virtual IP of the group is attached in the cloud; nothing was changed")
        return
    report(f"Stop keepalived on {name} as soon as it can be reached. `tandem up` attaches it again.")
