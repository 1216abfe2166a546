"""What the nodes of a group serve, and whether one of them can be taken out of service.

`read_state` and `read_states` ask nodes; the rest is pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from provisioning.errors import ProvisioningError, SwitchoverError
from provisioning.inventory import RemoteNode
from provisioning.ssh.agent_calls import Connection
from provisioning.ssh.connections import Connect, ask_each

NOT_SERVING = "nginx or keepalived is not running or does not respond"
_DEADLINE_S = 30


@dataclass(frozen=True, slots=True)
class NodeState:
    """What one node serves."""

    node: RemoteNode
    units: tuple[str, ...] = ()  # of its manifest
    health: Mapping[str, str] = field(default_factory=dict[str, str])  # by service: "" or what is wrong
    held: tuple[str, ...] = ()  # virtual IPs
    can_be_master: bool = False
    unreachable: str = ""  # why the node cannot be queried

    def serves(self, service: str) -> bool:
        return self.health.get(service) == ""


def read_state(connection: Connection, virtual_ips: Sequence[str]) -> NodeState:
    """Query a node. A node that does not respond is `unreachable`, not an error."""
    held = {"do": "held", "virtual_ips": list(virtual_ips), "deadline_s": 0}
    try:
        services, can_be_master, addresses = connection.call(
            [{"do": "services"}, {"do": "serves"}, held], deadline_s=_DEADLINE_S
        )
    except ProvisioningError as error:
        return NodeState(connection.node, unreachable=error.message)
    return NodeState(
        connection.node, tuple(services["units"]), services["health"], tuple(addresses), bool(can_be_master)
    )


def read_states(nodes: Sequence[RemoteNode], connect: Connect, virtual_ips: Sequence[str]) -> list[NodeState]:
    """Connect to nodes at the same time and query each. A node that cannot be reached is `unreachable`."""
    answers = ask_each(nodes, connect, lambda connection: read_state(connection, virtual_ips))
    return [
        NodeState(node, unreachable=answer.message) if isinstance(answer, ProvisioningError) else answer
        for node, answer in zip(nodes, answers, strict=True)
    ]


def check_others_serve(
    leaving: NodeState, others: Sequence[NodeState], services: Collection[str] | None, virtual_ips: Sequence[str]
) -> list[str]:
    """Check that other nodes serve everything that one node serves now, and can hold its virtual IPs.

    `services` limits the check to these; None means all. What the node does not serve itself cannot be lost. Returns
    the announcements of outages of services that run on this node only. Raises SwitchoverError.
    """
    announced: list[str] = []
    lost: list[str] = []
    for service in leaving.health if services is None else services:
        if not leaving.serves(service):
            continue
        elsewhere = [other for other in others if service in other.health or other.unreachable]
        if not any(service in other.health for other in others) and not any(other.unreachable for other in others):
            announced.append(f"{leaving.node.name}: {service} runs on this node only and is not available meanwhile")
        elif not any(other.serves(service) for other in elsewhere):
            lost.append(service)
    addresses = [address for address in virtual_ips if address in leaving.held]
    if addresses and leaving.serves("nginx") and not any(other.can_be_master for other in others):
        lost += addresses
    if lost:
        raise SwitchoverError(
            f"{leaving.node.name} cannot be taken out of service: no other node serves {', '.join(lost)}; "
            "it was not changed",
            seen="\n".join(line for other in others for line in _problems(other, lost)),
            look_at="tandem health; journalctl of these units on those nodes",
        )
    if services is None:
        announced += _announce_units(leaving, others)
    return announced


def _problems(other: NodeState, lost: Collection[str]) -> list[str]:
    if other.unreachable:
        return [f"{other.node.name}: cannot be queried: {other.unreachable}"]
    lines = [f"{other.node.name}: {name}: {seen}" for name, seen in other.health.items() if seen and name in lost]
    if not other.can_be_master and other.node.eligible and any(name not in other.health for name in lost):
        lines.append(f"{other.node.name}: {NOT_SERVING}")
    return lines


def _announce_units(leaving: NodeState, others: Sequence[NodeState]) -> list[str]:
    """The units that no other node has, such as the databases of the first node. Their services have no health URL."""
    elsewhere = {unit for other in others for unit in other.units}
    if any(other.unreachable for other in others):
        return []
    only = [
        unit
        for unit in leaving.units
        if unit not in elsewhere and unit not in leaving.health and not unit.endswith((".mount", ".timer"))
        and not unit.startswith("tandem-")
    ]  # fmt: skip
    if not only:
        return []
    return [f"{leaving.node.name}: {', '.join(only)} run on this node only and are not available meanwhile"]
