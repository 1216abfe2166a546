"""Fencing by the cloud: an instance that a HAVIP is detached from cannot announce it any more.

For a split pair whose nodes cannot be made to hear each other soon (docs/split-brain.md). Nothing on the node changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from provisioning.cloud_calls import CallApi
from provisioning.errors import SwitchoverError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.traffic.serving import NodeState


def fence(
    call: CallApi, inventory: Inventory, name: str, others: Sequence[NodeState], report: Callable[[str], None]
) -> tuple[str, ...]:
    """Detach all HAVIPs of the group from the instance of an eligible node. Returns the detached addresses.

    `others` are the states of the other eligible nodes. Raises SwitchoverError (nothing was changed): another node must
    hold each virtual IP and serve, since clients are sent there. Raises CloudApiError.
    """
    node = _find_eligible(inventory, name)
    lost = [
        address
        for address in inventory.virtual_ips
        if not any(address in other.held and other.can_be_master for other in others)
    ]
    if lost:
        raise SwitchoverError(
            f"{name} cannot be fenced: no other node holds {', '.join(lost)} and serves; nothing was changed",
            seen="\n".join(
                f"{other.node.name}: {other.unreachable or 'holds ' + (', '.join(other.held) or 'no virtual IP')}"
                for other in others
            ),
            look_at="tandem health; stop keepalived on one of the nodes instead",
        )
    detached: list[str] = []
    for address, havip_id in _attached_havips(call, inventory, node):
        association = {"HaVipId": havip_id, "InstanceId": node.instance_id}
        call("vpc", "DisassociateHaVipInstance", {"HaVipAssociationSet": [association]})
        report(f"{name}: {address} is detached in the cloud: its announcements have no effect any more")
        detached.append(address)
    return tuple(detached)


def _find_eligible(inventory: Inventory, name: str) -> RemoteNode:
    eligible = [node for node in inventory.nodes if node.eligible]
    for node in eligible:
        if node.name == name:
            return node
    names = " or ".join(node.name for node in eligible)
    raise SwitchoverError(f"the node to fence must be an eligible node: {names} (got {name})")


def _attached_havips(call: CallApi, inventory: Inventory, node: RemoteNode) -> list[tuple[str, str]]:
    """The address and the id of each HAVIP of the group that is attached to the node."""
    filters = [{"Name": "havip-association.instance-id", "Values": [node.instance_id]}]
    answer = call("vpc", "DescribeHaVips", {"Filters": filters, "Offset": 0, "Limit": 100})
    found = {each["Vip"]: each["HaVipId"] for each in answer.get("HaVipSet") or []}
    return [(address, found[address]) for address in inventory.virtual_ips if address in found]
