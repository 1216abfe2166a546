"""`tandem health`: checks the services through the public IP, and each node over SSH."""

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
from provisioning.serving import NOT_SERVING
from provisioning.transport import connector

SSH_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """The result of checking one node over SSH."""

    node: RemoteNode
    serves: bool
    held: tuple[str, ...]  # virtual IPs that the node holds now
    seen: str  # the reason if it does not serve, in one line


@dataclass(frozen=True, slots=True)
class Health:
    through_public_ip: HealthReport
    nodes: tuple[NodeHealth, ...]

    @property
    def healthy(self) -> bool:
        return self.through_public_ip.healthy and all(node.serves for node in self.nodes)


def check(outputs: Mapping[str, Any], connect: Callable[[RemoteNode], Connection] | None = None) -> Health:
    """Check every domain through every public IP, and every node, once. Failed checks raise no exception."""
    exports = parse_exports(outputs)
    if exports is None:
        raise ValueError("the outputs are not those of a deployment")
    inventory = exports.inventory
    connect = connect or connector(inventory, deadline_s=SSH_DEADLINE_S)

    def check_over_ssh(node: RemoteNode) -> NodeHealth:
        try:
            connection = connect(node)
        except ProvisioningError as error:
            return NodeHealth(node, serves=False, held=(), seen=_line(error))
        try:
            return check_node(connection, inventory.virtual_ips)
        except ProvisioningError as error:
            return NodeHealth(node, serves=False, held=(), seen=_line(error))
        finally:
            connection.close()

    domains = {name: str(url).removeprefix("https://") for name, url in outputs["urls"].items()}
    with ThreadPoolExecutor(max_workers=len(inventory.nodes) + 1) as pool:
        report = pool.submit(probe_once, list(outputs["public_ips"]), domains, str(outputs["ca_certificate"]))
        nodes = tuple(pool.map(check_over_ssh, inventory.nodes))
        return Health(report.result(), nodes)


def check_node(connection: Connection, virtual_ips: Sequence[str]) -> NodeHealth:
    """Check one node: an eligible node for nginx and keepalived, others for their units. Raises ProvisioningError."""
    node = connection.node
    if not node.eligible:  # runs the IAM services, but neither nginx nor keepalived
        idle: list[str] = connection.call([{"do": "idle"}], deadline_s=SSH_DEADLINE_S)[0]
        return NodeHealth(node, serves=not idle, held=(), seen=f"not running: {', '.join(idle)}" if idle else "")
    operations = [{"do": "serves"}, {"do": "held", "virtual_ips": list(virtual_ips), "deadline_s": 0}]
    serves, held = connection.call(operations, deadline_s=SSH_DEADLINE_S)
    seen = "" if serves else NOT_SERVING
    return NodeHealth(node, serves=bool(serves), held=tuple(held), seen=seen)


def make_table(health: Health, outputs: Mapping[str, Any]) -> Table:
    table = Table(
        "", "check", "target", "result", "time", title="Health check through the public IP", title_justify="left"
    )
    for probe in health.through_public_ip.probes:
        table.add_row(_mark(probe.ok), probe.url, probe.name, probe.seen, f"{probe.took_ms:.0f} ms")
    table.add_section()
    for node in health.nodes:
        role = f"master of {', '.join(node.held)}" if node.held else "backup" if node.node.eligible else "serves"
        result = role if node.serves else node.seen
        table.add_row(_mark(node.serves), node.node.name, node.node.private_address, result, "")
    table.caption = f"profile {outputs['profile']}"
    return table


def _mark(ok: bool) -> str:  # noqa: FBT001 - a value to display, not a mode
    return "[green]ok[/]" if ok else "[red]FAIL[/]"


def _line(error: ProvisioningError) -> str:
    return str(error).splitlines()[0]
