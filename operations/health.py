"""`tandem health`: the service through the public IP, and what each node says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from provisioning.agent_calls import Connection
from provisioning.errors import ProvisioningError
from provisioning.exports import parse_exports
from provisioning.health import HealthReport, probe_once
from provisioning.inventory import RemoteNode
from provisioning.transport import connector

SSH_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """What one node says of itself over SSH."""

    node: RemoteNode
    serves: bool
    held: tuple[str, ...]  # virtual IPs that it holds now
    seen: str  # why not, in a line


@dataclass(frozen=True, slots=True)
class Health:
    through_public_ip: HealthReport
    nodes: tuple[NodeHealth, ...]

    @property
    def well(self) -> bool:
        return self.through_public_ip.healthy and all(node.serves for node in self.nodes)


def examine(outputs: Mapping[str, Any], connect: Callable[[RemoteNode], Connection] | None = None) -> Health:
    """Look once: every domain through every public IP, and every node. Raises nothing for what is merely sick."""
    exports = parse_exports(outputs)
    if exports is None:
        raise ValueError("the outputs describe no deployment")
    inventory = exports.inventory
    connect = connect or connector(inventory, deadline_s=SSH_DEADLINE_S)

    def ask(node: RemoteNode) -> NodeHealth:
        try:
            connection = connect(node)
        except ProvisioningError as error:
            return NodeHealth(node, serves=False, held=(), seen=_line(error))
        try:
            return examine_node(connection, inventory.virtual_ips)
        except ProvisioningError as error:
            return NodeHealth(node, serves=False, held=(), seen=_line(error))
        finally:
            connection.close()

    domains = {name: str(url).removeprefix("https://") for name, url in outputs["urls"].items()}
    with ThreadPoolExecutor(max_workers=len(inventory.nodes) + 1) as pool:
        report = pool.submit(probe_once, list(outputs["public_ips"]), domains, str(outputs["ca_certificate"]))
        nodes = tuple(pool.map(ask, inventory.nodes))
        return Health(report.result(), nodes)


def examine_node(connection: Connection, virtual_ips: Sequence[str]) -> NodeHealth:
    """Ask one node what its part in the group is about. Raises ProvisioningError."""
    node = connection.node
    if not node.eligible:  # neither nginx nor keepalived runs there, the services do
        idle: list[str] = connection.call([{"do": "idle"}], deadline_s=SSH_DEADLINE_S)[0]
        return NodeHealth(node, serves=not idle, held=(), seen=f"{', '.join(idle)} does not run" if idle else "")
    questions = [{"do": "serves"}, {"do": "held", "virtual_ips": list(virtual_ips), "deadline_s": 0}]
    serves, held = connection.call(questions, deadline_s=SSH_DEADLINE_S)
    seen = "" if serves else "nginx or keepalived does not run or answer"
    return NodeHealth(node, serves=bool(serves), held=tuple(held), seen=seen)


def make_table(health: Health, outputs: Mapping[str, Any]) -> Table:
    table = Table(
        "", "what", "where", "answer", "time", title="Health, seen through the public IP", title_justify="left"
    )
    for probe in health.through_public_ip.probes:
        table.add_row(_mark(probe.ok), probe.url, probe.name, probe.seen, f"{probe.took_ms:.0f} ms")
    table.add_section()
    for node in health.nodes:
        held = f"holds {', '.join(node.held)}" if node.held else "stands by" if node.node.eligible else "serves"
        answer = held if node.serves else node.seen
        table.add_row(_mark(node.serves), node.node.name, node.node.private_address, answer, "")
    table.caption = f"profile {outputs['profile']}"
    return table


def _mark(ok: bool) -> str:  # noqa: FBT001 - a cell of the table, not a switch
    return "[green]ok[/]" if ok else "[red]FAIL[/]"


def _line(error: ProvisioningError) -> str:
    return str(error).splitlines()[0]
