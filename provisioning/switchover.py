"""Planned moves of the virtual IP to a peer, which cut off as few clients as possible.

In order: a peer must serve; nginx here answers with `Connection: close` for the drain time, so that clients come
back on new connections; then the drain mark lowers this node's priority and the peer takes the address. What is
then still open on the old address is dead and is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from provisioning.agent_calls import Connection
from provisioning.errors import ProvisioningError, SwitchoverError, UnreachableError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.transport import connector

CONNECT_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Switchover:
    """What happened."""

    addresses: tuple[str, ...] = ()  # those that moved
    to: str = ""  # the node that has them now
    cut_connections: int = 0  # client connections that were still open when the address went


def switch_over(
    inventory: Inventory, name: str, connect: Callable[[RemoteNode], Connection] | None = None
) -> Switchover:
    """Move the virtual IP to a peer and leave `host_name` drained: it is about to stop, or is dead already.

    Raises SwitchoverError unless a peer serves (or, for a dead one, holds the address); then nothing was changed.
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
            return _already_gone(inventory, name, peers)
        try:
            return move_to_peer(leaving, peers, inventory.virtual_ips)
        finally:
            leaving.close()
    finally:
        for peer in peers:
            peer.close()


def retire(inventory: Inventory, name: str, connect: Callable[[RemoteNode], Connection] | None = None) -> Switchover:
    """Switch over, then stop all that runs there: the node is about to go, and its disks before it.

    A node that does not answer is no error, if a peer holds the address and serves. Raises SwitchoverError.
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
    """Move what `leaving` holds to a serving peer. It stays drained until `end_drain`. Raises SwitchoverError."""
    wanted = list(virtual_ips)
    serving = [peer for peer in peers if _serves(peer)]
    if not serving:
        raise SwitchoverError(
            f"{leaving.node.name} cannot hand {', '.join(wanted)} over: no other node serves; nothing was changed",
            seen="\n".join(f"{peer.node.name}: nginx or keepalived does not run or answer" for peer in peers)
            or "no other node could be reached",
            look_at="tandem health; journalctl -u nginx -u keepalived on those nodes",
        )
    for peer in serving:
        # Nothing to move. (While a rollout changes the profile both hold it: two versions of VRRP.)
        if peer.call([{"do": "held", "virtual_ips": wanted, "deadline_s": 0}])[0]:
            return Switchover((), peer.node.name)
    drain = {"do": "drain", "virtual_ips": wanted, "deadline_s": 30}
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
        f"{leaving.node.name} let {', '.join(addresses)} go and no peer took it within 5 s; the drain was ended",
        look_at="journalctl -u keepalived on all nodes; does the security group let VRRP (protocol 112) pass",
    )


def end_drain(connection: Connection) -> None:
    """The node may hold the address again (it does not take it back by that)."""
    connection.call([{"do": "end_drain"}])


def _serves(peer: Connection) -> bool:
    try:
        return bool(peer.call([{"do": "serves"}], deadline_s=15)[0])
    except ProvisioningError:
        return False


def _already_gone(inventory: Inventory, name: str, peers: Sequence[Connection]) -> Switchover:
    addresses = list(inventory.virtual_ips)
    for peer in peers:
        held = peer.call([{"do": "held", "virtual_ips": addresses, "deadline_s": 0}])[0]
        if held and _serves(peer):
            return Switchover((), peer.node.name)
    raise SwitchoverError(
        f"{name} cannot be reached, and no other node holds {', '.join(addresses)} and serves; nothing was changed",
        look_at="tandem health; the nodes' consoles",
    )
