"""Switchover: a planned move of the virtual IP to a peer.

1. Check that a peer serves.
2. Drain: nginx answers with `Connection: close` for the drain time, so clients reconnect.
3. Lower this node's priority through the drain mark, so that the peer becomes master.

Client connections that are still open after the drain are cut off and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from provisioning.agent_calls import Connection
from provisioning.errors import ProvisioningError, SwitchoverError, UnreachableError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.transport import connector

CONNECT_DEADLINE_S = 10.0
NOT_SERVING = "nginx or keepalived is not running or does not respond"


@dataclass(frozen=True, slots=True)
class Switchover:
    """The result of a switchover."""

    addresses: tuple[str, ...] = ()  # virtual IPs that moved
    to: str = ""  # the node that holds them now
    cut_connections: int = 0  # client connections that were still open when the virtual IP moved


def switch_over(
    inventory: Inventory, name: str, connect: Callable[[RemoteNode], Connection] | None = None
) -> Switchover:
    """Move the virtual IP from the named node to a peer. The node stays drained, since it is about to stop.

    A node that cannot be reached needs no switchover if a peer holds the virtual IP and serves.

    Raises:
        SwitchoverError: no peer serves; nothing was changed. Or no peer took over; the drain was ended.
    """
    connect = connect or connector(inventory, deadline_s=CONNECT_DEADLINE_S)
    peers: list[Connection] = []
    try:
        for node in inventory.nodes:
            if node.name != name and node.eligible:
                try:
                    peers.append(connect(node))
                except UnreachableError:
                    continue
        try:
            leaving = connect(inventory.get(name))
        except UnreachableError:
            return _find_new_master(inventory, name, peers)
        try:
            return move_to_peer(leaving, peers, inventory.virtual_ips)
        finally:
            leaving.close()
    finally:
        for peer in peers:
            peer.close()


def retire(inventory: Inventory, name: str, connect: Callable[[RemoteNode], Connection] | None = None) -> Switchover:
    """Switch over, then stop the node's units, so that its disks can be detached before it is deleted.

    An unreachable node is not an error if a peer holds the virtual IP and serves. Raises SwitchoverError.
    """
    connect = connect or connector(inventory, deadline_s=CONNECT_DEADLINE_S)
    moved = switch_over(inventory, name, connect)
    try:
        leaving = connect(inventory.get(name))
    except UnreachableError:
        return moved
    try:
        leaving.call([{"do": "retire"}], deadline_s=300)
    finally:
        leaving.close()
    return moved


def move_to_peer(leaving: Connection, peers: Sequence[Connection], virtual_ips: Iterable[str]) -> Switchover:
    """Move the virtual IPs from `leaving` to a serving peer.

    `leaving` stays drained until `end_drain`. Raises SwitchoverError.
    """
    virtual_ips = list(virtual_ips)
    serving = [peer for peer in peers if _serves(peer)]
    if not serving:
        raise SwitchoverError(
            f"{leaving.node.name} cannot switch over {', '.join(virtual_ips)}: no other node serves; "
            "nothing was changed",
            seen="\n".join(f"{peer.node.name}: {NOT_SERVING}" for peer in peers) or "no other node could be reached",
            look_at="tandem health; journalctl -u nginx -u keepalived on those nodes",
        )
    for peer in serving:
        # No move is needed. While a rollout changes the VRRP version, both nodes hold the virtual IP.
        if peer.call([{"do": "held", "virtual_ips": virtual_ips, "deadline_s": 0}])[0]:
            return Switchover((), peer.node.name)
    drain = {"do": "drain", "virtual_ips": virtual_ips, "deadline_s": 30}
    moved: dict[str, list[str]] = leaving.call([drain], deadline_s=400)[0]
    addresses = tuple(moved["moved"])
    if not addresses:
        return Switchover()
    for peer in serving:
        held = peer.call([{"do": "held", "virtual_ips": list(addresses), "deadline_s": 5}])[0]
        if held:
            return Switchover(tuple(held), peer.node.name, int(moved["cut"][0]))
    leaving.call([{"do": "end_drain"}])
    raise SwitchoverError(
        f"{leaving.node.name}: released {', '.join(addresses)}, but no peer took over within 5 s; the drain was ended",
        look_at="journalctl -u keepalived on all nodes; the security group must allow ALL between the eligible nodes",
    )


def end_drain(connection: Connection) -> None:
    """End the drain: the node may become master again. This does not move the virtual IP."""
    connection.call([{"do": "end_drain"}])


def _serves(peer: Connection) -> bool:
    try:
        return bool(peer.call([{"do": "serves"}], deadline_s=15)[0])
    except ProvisioningError:
        return False


def _find_new_master(inventory: Inventory, name: str, peers: Sequence[Connection]) -> Switchover:
    addresses = list(inventory.virtual_ips)
    for peer in peers:
        held = peer.call([{"do": "held", "virtual_ips": addresses, "deadline_s": 0}])[0]
        if held and _serves(peer):
            return Switchover((), peer.node.name)
    raise SwitchoverError(
        f"{name} cannot be reached, and no other node holds {', '.join(addresses)} and serves; nothing was changed",
        look_at="tandem health; the nodes' consoles",
    )
