"""`tandem health`: the service through the public IP, and what each machine says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from provisioning.errors import ProvisioningError
from provisioning.exports import parse_exports
from provisioning.health import HealthReport, look
from provisioning.inventory import Host
from provisioning.transport import Connection, connector

SSH_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class MachineHealth:
    """What one machine says of itself over SSH."""

    host: Host
    serves: bool
    held: tuple[str, ...]  # virtual IPs that it holds now
    seen: str  # why not, in a line


@dataclass(frozen=True, slots=True)
class Health:
    through_public_ip: HealthReport
    machines: tuple[MachineHealth, ...]

    @property
    def well(self) -> bool:
        return self.through_public_ip.healthy and all(machine.serves for machine in self.machines)


def examine(outputs: Mapping[str, Any], connect: Callable[[Host], Connection] | None = None) -> Health:
    """Look once: every domain through every public IP, and every machine. Raises nothing for what is merely sick."""
    exports = parse_exports(outputs)
    if exports is None:
        raise ValueError("the outputs describe no deployment")
    inventory = exports.inventory
    connect = connect or connector(inventory, deadline_s=SSH_DEADLINE_S)

    def ask(host: Host) -> MachineHealth:
        try:
            connection = connect(host)
        except ProvisioningError as error:
            return MachineHealth(host, serves=False, held=(), seen=_line(error))
        try:
            return examine_machine(connection, inventory.virtual_ips)
        except ProvisioningError as error:
            return MachineHealth(host, serves=False, held=(), seen=_line(error))
        finally:
            connection.close()

    domains = {name: str(url).removeprefix("https://") for name, url in outputs["urls"].items()}
    with ThreadPoolExecutor(max_workers=len(inventory.hosts) + 1) as pool:
        report = pool.submit(look, list(outputs["public_ips"]), domains, str(outputs["ca_certificate"]))
        machines = tuple(pool.map(ask, inventory.hosts))
        return Health(report.result(), machines)


def examine_machine(connection: Connection, virtual_ips: Sequence[str]) -> MachineHealth:
    """Ask one machine what its part in the group is about. Raises ProvisioningError."""
    host = connection.host
    if not host.holder:  # neither nginx nor keepalived runs there, the services do
        idle: list[str] = connection.call([{"do": "idle"}], deadline_s=SSH_DEADLINE_S)[0]
        return MachineHealth(host, serves=not idle, held=(), seen=f"{', '.join(idle)} does not run" if idle else "")
    questions = [{"do": "serves"}, {"do": "held", "virtual_ips": list(virtual_ips), "deadline_s": 0}]
    serves, held = connection.call(questions, deadline_s=SSH_DEADLINE_S)
    seen = "" if serves else "nginx or keepalived does not run or answer"
    return MachineHealth(host, serves=bool(serves), held=tuple(held), seen=seen)


def make_table(health: Health, outputs: Mapping[str, Any]) -> Table:
    table = Table(
        "", "what", "where", "answer", "time", title="Health, seen through the public IP", title_justify="left"
    )
    for probe in health.through_public_ip.probes:
        table.add_row(_mark(probe.ok), probe.url, probe.name, probe.seen, f"{probe.took_ms:.0f} ms")
    table.add_section()
    for machine in health.machines:
        held = f"holds {', '.join(machine.held)}" if machine.held else "stands by" if machine.host.holder else "serves"
        answer = held if machine.serves else machine.seen
        table.add_row(_mark(machine.serves), machine.host.name, machine.host.private_address, answer, "")
    table.caption = f"profile {outputs['profile']}"
    return table


def _mark(ok: bool) -> str:  # noqa: FBT001 - a cell of the table, not a switch
    return "[green]ok[/]" if ok else "[red]FAIL[/]"


def _line(error: ProvisioningError) -> str:
    return str(error).splitlines()[0]
