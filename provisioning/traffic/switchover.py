"""Switchover: a planned move of the virtual IPs from one node to a peer.

1. Drain: nginx answers with `Connection: close` for the drain time, so clients reconnect.
2. Hold new connections for the moment of the move, and release the virtual IPs through the drain mark.
3. Confirm for each virtual IP that the peer holds it, and that the HAVIP follows the peer.

Client connections that are still open after the drain are cut off, counted and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from provisioning.errors import ProvisioningError, SwitchoverError
from provisioning.ssh.agent_calls import Connection
from provisioning.traffic.havip import Confirm
from provisioning.traffic.serving import NodeState, read_state

RELEASE_DEADLINE_S = 30
_TAKE_OVER_S = 10


@dataclass(frozen=True, slots=True)
class Switchover:
    """The move of one virtual IP."""

    address: str
    to: str  # the node that holds it now
    cut_connections: int  # client connections that were still open when the virtual IP moved
    seen: str  # by the HAVIP

    def describe(self, leaving: str) -> str:
        cut = (
            f"{self.cut_connections} open client connections were cut off"
            if self.cut_connections
            else "no open connection was cut off"
        )
        return f"{leaving}: {self.address} moved to {self.to}: {cut}; {self.seen}"


def move_to_peers(
    leaving: Connection,
    state: NodeState,
    peers: Sequence[tuple[Connection, NodeState]],
    confirm: Confirm,
    report: Callable[[str], None],
) -> tuple[Switchover, ...]:
    """Drain the node, and move each virtual IP that it holds to a peer. The node stays drained until `end_drain`.

    Raises SwitchoverError or NodeError: no peer can take over, or none did; the drain was ended.
    """
    able = [connection for connection, peer in peers if peer.can_be_master]
    if state.held and not able:
        raise SwitchoverError(
            f"{leaving.node.name} cannot release {', '.join(state.held)}: no other node serves; it was not drained",
            look_at="tandem health; tandem up",
        )
    # While the VRRP version changes, both nodes may hold a virtual IP and do not hear each other.
    split = any(address in peer.held for _, peer in peers for address in state.held)
    drain = {"do": "drain", "virtual_ips": list(state.held), "deadline_s": RELEASE_DEADLINE_S, "split": split}
    if state.held:
        report(f"{leaving.node.name}: switching over {', '.join(state.held)}")
    cut: dict[str, int] = leaving.call([drain], deadline_s=400)[0]["cut"]
    moves: list[Switchover] = []
    try:
        for address, connections in cut.items():
            to = _wait_for_holder(leaving, able, address)
            moves.append(Switchover(address, to.node.name, connections, confirm(address, to.node)))
            report(moves[-1].describe(leaving.node.name))
    except ProvisioningError:
        with suppress(ProvisioningError):  # do not hide the original error; the node ends its drain itself
            leaving.call([{"do": "end_drain"}])
        raise
    return tuple(moves)


def take_back(
    returning: Connection,
    preferred: Sequence[str],
    peers: Sequence[Connection],
    confirm: Confirm,
    report: Callable[[str], None],
) -> tuple[Switchover, ...]:
    """End the node's drain, and give it back its preferred virtual IPs. The peers' clients are asked to leave first.

    keepalived would return a virtual IP only after `preempt_delay`, so the peers release it.

    Raises ProvisioningError.
    """
    cut: dict[str, int] = {}
    asked: list[Connection] = []
    try:
        for peer in peers if preferred else ():
            if held := peer.call([{"do": "held", "virtual_ips": list(preferred), "deadline_s": 0}])[0]:
                asked.append(peer)
                cut |= dict.fromkeys(held, 0)
                peer.call([{"do": "ask_clients_to_leave"}], deadline_s=400)
        returning.call([{"do": "end_drain"}])
        for peer in asked:
            release = {"do": "release", "virtual_ips": list(preferred), "deadline_s": RELEASE_DEADLINE_S}
            cut |= peer.call([release], deadline_s=60)[0]
        moves: list[Switchover] = []
        for address, connections in cut.items():
            to = _wait_for_holder(asked[0], [returning], address)
            moves.append(Switchover(address, to.node.name, connections, confirm(address, to.node)))
            report(moves[-1].describe(asked[0].node.name))
    except BaseException:
        for peer in asked:
            with suppress(ProvisioningError):  # as above
                peer.call([{"do": "stop_asking"}])
        raise
    for peer in asked:
        peer.call([{"do": "stop_asking"}])
    return tuple(moves)


def return_preferred(
    preferred: Sequence[tuple[Connection, Sequence[str]]],
    virtual_ips: Sequence[str],
    confirm: Confirm,
    report: Callable[[str], None],
) -> tuple[Switchover, ...]:
    """Give each eligible node its preferred virtual IPs now, so that clients are asked to leave before.

    keepalived would move them without a drain as soon as its `preempt_delay` is over. Raises ProvisioningError.
    """
    moves: list[Switchover] = []
    for node, addresses in preferred:
        state = read_state(node, virtual_ips) if addresses else None
        missing = [address for address in addresses if state is not None and address not in state.held]
        if state is not None and state.can_be_master and missing:
            moves += take_back(node, missing, [other for other, _ in preferred if other is not node], confirm, report)
    return tuple(moves)


def _wait_for_holder(leaving: Connection, peers: Sequence[Connection], address: str) -> Connection:
    for _ in range(_TAKE_OVER_S):
        for peer in peers:
            if peer.call([{"do": "held", "virtual_ips": [address], "deadline_s": 1}])[0]:
                return peer
    raise SwitchoverError(
        f"{leaving.node.name} released {address}, but no peer took over within {_TAKE_OVER_S} s; the drain was ended",
        seen=", ".join(f"{peer.node.name} does not hold it" for peer in peers),
        look_at="journalctl -u keepalived on all nodes; the security group must allow ALL between the eligible nodes",
    )
