"""Takes a node out of service before it is restarted, resized, demoted or deleted, and puts it back.

1. Check that other nodes serve everything that this node serves.
2. Mark the node as down in nginx on every eligible node; wait for requests in progress and their audit records.
3. Switch over each virtual IP that the node holds (switchover.py).

If a step fails, the node is put back. If the operator's process is killed, the nodes put it back themselves after
15 minutes (agent/put_back_timer.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from provisioning.errors import ProvisioningError, SwitchoverError
from provisioning.parallel import in_parallel
from provisioning.ssh.agent_calls import Connection
from provisioning.traffic.havip import Confirm
from provisioning.traffic.serving import NodeState, check_others_serve, read_state
from provisioning.traffic.switchover import Switchover, move_to_peers, take_back

REQUESTS_DEADLINE_S = 30.0

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The node to take out of service, and the rest of its group."""

    leaving: Connection
    others: tuple[Connection, ...]
    unreachable: tuple[NodeState, ...]  # other nodes that cannot be queried
    virtual_ips: tuple[str, ...]
    confirm: Confirm
    report: Report


@dataclass(frozen=True, slots=True)
class Extent:
    """What of the node is taken out of service."""

    services: Collection[str] | None = None  # names of health gates; None: all
    ports: Collection[int] | None = None  # of these services
    virtual_ips: bool = True
    stops: bool = True  # units of the node are stopped afterwards: what runs on this node only has an outage


EVERYTHING = Extent()
DRAIN = Extent(stops=False)


def take_out(around: Surroundings, extent: Extent = EVERYTHING) -> tuple[Switchover, ...]:
    """Take a node out of service until `put_back`. Returns the moves of its virtual IPs.

    If no node serves, the virtual IPs stay on the node, so that it can be repaired.

    Raises SwitchoverError or another ProvisioningError. The node is in service then, as before.
    """
    state = read_state(around.leaving, around.virtual_ips)
    if state.unreachable:
        raise SwitchoverError(f"{around.leaving.node.name} cannot be queried", seen=state.unreachable)
    states = in_parallel(around.others, lambda other: _read_peer(other, around.virtual_ips))
    addresses = state.held if extent.virtual_ips else ()
    outages = check_others_serve(state, (*states, *around.unreachable), extent.services, addresses)
    for line in outages if extent.stops else ():
        around.report(line)
    if addresses and extent.stops and not any(peer.can_be_master for peer in states):
        around.report(f"{around.leaving.node.name}: keeps {', '.join(addresses)}, since no node serves")
        addresses = ()
    with put_back_after_failure(around):
        leave_upstreams(around, extent.ports)
        if not addresses:
            return ()
        peers = list(zip(around.others, states, strict=True))
        return move_to_peers(around.leaving, state, peers, around.confirm, around.report)


def _read_peer(other: Connection, virtual_ips: Sequence[str]) -> NodeState:
    """End the drain of another node: a killed run has left it, or `tandem drain`, which a rollout ends."""
    if other.node.eligible:
        with suppress(ProvisioningError):  # the node does not respond, as its state will show
            other.call([{"do": "end_drain"}])
    return read_state(other, virtual_ips)


def leave_upstreams(around: Surroundings, ports: Collection[int] | None = None) -> None:
    """Mark the node as down in every nginx, then wait for its requests in progress."""
    node = around.leaving.node
    leave = {"do": "leave", "address": node.private_address, "ports": None if ports is None else sorted(ports)}
    balancing = [each for each in (around.leaving, *around.others) if each.node.eligible]
    marked = in_parallel(balancing, lambda each: each.call([leave])[0])
    used = sorted({port for ports_of_one in marked for port in ports_of_one})
    for state in around.unreachable:
        if state.node.eligible:
            around.report(f"{state.node.name}: cannot be reached, so its nginx may still send requests to {node.name}")
    if not used:
        return
    around.report(f"{node.name}: removed from the upstreams (ports {', '.join(map(str, used))})")
    wait = {"do": "finish_requests", "ports": used, "deadline_s": REQUESTS_DEADLINE_S}
    remaining = around.leaving.call([wait], deadline_s=REQUESTS_DEADLINE_S + 60)[0]
    if remaining:
        around.report(f"{node.name}: {remaining} requests were still in progress after {REQUESTS_DEADLINE_S:.0f} s")


def put_back(around: Surroundings, *, changed: bool = False) -> tuple[Switchover, ...]:
    """Put a node back into all upstreams, and end its drain. Does nothing to another node, or to one in service.

    A node that was `changed` may have booted since it was taken out, which ends its drain. It gets its preferred
    virtual IPs back nevertheless, and not only after `preempt_delay`.
    """
    balancing = [each for each in (around.leaving, *around.others) if each.node.eligible]
    join = {"do": "join", "address": around.leaving.node.private_address}
    in_parallel(balancing, lambda each: each.call([join]))
    if not around.leaving.node.eligible:
        return ()
    question = "preferred" if changed else "preferred_while_drained"
    preferred: list[str] = around.leaving.call([{"do": question}])[0]
    return take_back(around.leaving, preferred, around.others, around.confirm, around.report)


def check_none_is_kept_out(around: Surroundings, name: str = "") -> None:
    """Check that an operator has taken no node but `name` out of service. Raises SwitchoverError."""
    check_kept_out(in_parallel((around.leaving, *around.others), _kept_out), name)


def check_kept_out(found: Iterable[str], name: str = "") -> None:
    """Check that no node but `name` is in the names of nodes kept out of service. Raises SwitchoverError."""
    for out in found:
        if out not in {"", name}:
            raise SwitchoverError(
                f"{out} is out of service by `tandem drain`, and only one node can be; nothing was changed",
                look_at=f"tandem undrain {out}",
            )


def _kept_out(connection: Connection) -> str:
    try:
        return connection.call([{"do": "kept_out"}])[0].get("node", "")
    except ProvisioningError:
        return ""  # the checks of what the others serve report it


@contextmanager
def put_back_after_failure(around: Surroundings) -> Generator[None]:
    """Put the node back if the block fails or is interrupted."""
    try:
        yield
    except BaseException:
        with suppress(ProvisioningError):  # do not hide the original error; the nodes end the drain themselves
            put_back(around)
        raise
