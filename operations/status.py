"""`tandem status`: what a deployed group does now, on one screen, as JSON, and repeatedly."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Console, RenderableType
from rich.console import Group as Rows
from rich.live import Live
from rich.table import Table
from rich.text import Text

from operations.health import SSH_DEADLINE_S, check
from operations.stack_names import name_stack_in
from provisioning.backups import Backup, merge, read_backups
from provisioning.cloud_calls import CallApi
from provisioning.errors import ProvisioningError
from provisioning.health.checks import Group
from provisioning.health.results import HealthReport, Level, count
from provisioning.inventory import Inventory
from provisioning.kinds.link import Link
from provisioning.ssh.agent_calls import Connection
from provisioning.ssh.connections import Connect, ask_each, connector, shared
from provisioning.traffic.havip import find_holder

CheckHealth = Callable[[Group, CallApi | None, Connect | None], HealthReport]
WATCH_S = 2.0
NODE_COLUMNS = ("node", "address", "state", "units", "revision", "release", "requests/s", "errors/s")
UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node; without data if it could not be asked."""

    name: str
    address: str
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])  # as the agent's `status` returns it
    error: str = ""

    @property
    def held(self) -> Mapping[str, float]:
        """The virtual IPs that the node holds, and since when; 0 if its journal does not reach that far."""
        return self.data.get("held", {})

    @property
    def revision(self) -> str:
        return str(((self.data.get("versions") or {}).get("current") or {}).get("revision", ""))


@dataclass(frozen=True, slots=True)
class GroupStatus:
    stack: str
    virtual_ips: Mapping[str, str]  # the public IP of each
    nodes: tuple[NodeStatus, ...]
    cloud: Mapping[str, str] = field(default_factory=dict[str, str])  # the node that each HAVIP follows
    health: HealthReport | None = None
    backups: tuple[Backup, ...] | None = None  # None: not asked

    @property
    def healthy(self) -> bool:
        return self.health is None or self.health.healthy


Look = Callable[[], GroupStatus]


def gather(
    group: Group,
    stack: str,
    call_api: CallApi | None = None,
    connect: Connect | None = None,
    *,
    check_health: CheckHealth | None = check,
) -> GroupStatus:
    """Ask every node over one connection. `check_health` is None for the short form: no health checks, no backups."""
    with shared(connect or connector(group.inventory, deadline_s=SSH_DEADLINE_S)) as once:
        return _gather(group, stack, call_api, once, check_health)


def _gather(
    group: Group, stack: str, call_api: CallApi | None, connect: Connect, check_health: CheckHealth | None
) -> GroupStatus:
    inventory = group.inventory
    public = [address.ip for address in group.public.addresses]
    backups, health, nodes = None, None, read_nodes(group, connect)
    if check_health is not None:
        # The requests of the checks are not counted.
        traffic = {node.name: node.data.get("traffic") for node in nodes}
        # First, since it waits while a failover is in progress.
        health = name_stack_in(check_health(group, call_api, connect), stack)
        asked = zip(inventory.nodes, ask_each(inventory.nodes, connect, read_backups), strict=True)
        nodes = tuple(_with_traffic(node, traffic[node.name]) for node in read_nodes(group, connect))
        backups = tuple(merge({node.name: each for node, each in asked if not isinstance(each, ProvisioningError)}))
    return GroupStatus(
        stack,
        dict(zip(inventory.virtual_ips, public, strict=False)),
        nodes,
        _cloud(inventory, call_api),
        health,
        backups,
    )


def _with_traffic(node: NodeStatus, traffic: Mapping[str, Any] | None) -> NodeStatus:
    return replace(node, data={**node.data, "traffic": traffic}) if node.data and traffic else node


def read_nodes(group: Group, connect: Connect) -> tuple[NodeStatus, ...]:
    """The status of each node. A node that cannot be asked raises no exception."""

    def ask(connection: Connection) -> dict[str, Any]:
        items = group.items.get(connection.node.name, ())
        links = [item.path for item in items if isinstance(item, Link) and item.path.endswith("/current")]
        return connection.call([{"do": "status", "virtual_ips": list(group.inventory.virtual_ips), "links": links}])[0]

    nodes = group.inventory.nodes
    return tuple(
        NodeStatus(node.name, node.private_address, error=data.message)
        if isinstance(data, ProvisioningError)
        else NodeStatus(node.name, node.private_address, data)
        for node, data in zip(nodes, ask_each(nodes, connect, ask), strict=True)
    )


def _cloud(inventory: Inventory, call_api: CallApi | None) -> dict[str, str]:
    if call_api is None:
        return {}
    names = {node.instance_id: node.name for node in inventory.nodes}
    try:
        found = {address: find_holder(call_api, inventory, address) for address in inventory.virtual_ips}
    except ProvisioningError as error:
        return dict.fromkeys(inventory.virtual_ips, f"unknown: {error.message}")
    return {
        address: "no HAVIP" if holder is None else names.get(holder, holder or "no instance")
        for address, holder in found.items()
    }


# ---- as text and as JSON ---------------------------------------------------------------------------------------------


def show(status: GroupStatus, now: float | None = None) -> RenderableType:
    """One screen."""
    now = time.time() if now is None else now
    parts: list[RenderableType] = [Text(f"Stack {status.stack}: {describe_rollout(status)}", style="bold")]
    parts += [Text(describe_virtual_ip(status, address, now)) for address in status.virtual_ips]
    parts += [Text(), _node_table(status), Text()]
    if status.health is not None:
        parts += _health_lines(status.health)
    else:
        parts += [Text(node.error, style="red") for node in status.nodes if node.error]
    if status.backups is not None:
        parts.append(Text(f"{'backups':<14}{describe_backups(status.backups, now)}"))
    return Rows(*parts)


def describe_rollout(status: GroupStatus) -> str:
    records: list[dict[str, Any]] = [(node.data.get("versions") or {}).get("current") or {} for node in status.nodes]
    newest = max(records, key=lambda record: int(record.get("serial", 0)), default={})
    if not newest:
        return "no node has finished a rollout"
    when = f", deployed at {newest['at']} by {newest['by']}" if newest.get("at") else ""
    return f"revision {newest['revision']}{when}"


def describe_virtual_ip(status: GroupStatus, address: str, now: float) -> str:
    holders = [
        node.name + (f" for {duration(now - since)}" if since else "")
        for node in status.nodes
        for held, since in node.held.items()
        if held == address
    ]
    public = status.virtual_ips[address]
    text = f"virtual IP {address} (public {public}): held by {' AND '.join(holders) or 'NO NODE'}"
    return text + (f"; the HAVIP follows {status.cloud[address]}" if address in status.cloud else "")


def _node_table(status: GroupStatus) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in NODE_COLUMNS:
        table.add_column(heading, overflow="fold")
    for node in status.nodes:
        # Text: a value may contain brackets, which are not markup.
        table.add_row(*(Text(cell, style="red" if cell == UNREACHABLE else "") for cell in cells_of(node)))
    return table


def cells_of(node: NodeStatus) -> tuple[str, ...]:
    """The row of a node, by NODE_COLUMNS. That of an unreachable node ends after its state."""
    if node.error:
        return node.name, node.address, UNREACHABLE
    data = node.data
    units: Mapping[str, bool] = data["units"]
    stopped = [name for name, started in units.items() if not started]
    state = "master" if data["held"] else "drained" if data["draining"] else "backup" if data["vrrp"] else "-"
    versions = data["versions"]
    revision = node.revision or "none"
    revision += f", {len(versions['rejected'])} rejected" if versions["rejected"] else ""
    revision += _unfinished(node.revision, versions["unfinished"]["revision"]) if versions["unfinished"] else ""
    traffic = data["traffic"]
    rates = [f"{traffic[key] / traffic['seconds']:.1f}" for key in ("requests", "errors")]
    count = f"{len(units) - len(stopped)} of {len(units)}" + (f"; not running: {', '.join(stopped)}" if stopped else "")
    return node.name, node.address, state, count, revision, ", ".join(data["releases"].values()) or "-", *rates


def _unfinished(current: str, unfinished: str) -> str:
    return " (gates not passed)" if unfinished == current else f", {unfinished} (gates not passed)"


def _health_lines(report: HealthReport) -> list[Text]:
    shown = [result for result in report.results if result.level is not Level.OK]
    failed = sum(result.level is Level.FAIL for result in shown)
    drift = [result for result in report.results if result.name == "configuration"]
    unread = sorted({result.target for result in shown if result.name == "SSH"})
    found = ["none"] if all(result.level is Level.OK for result in drift) else ["see the lines above"]
    found = [*(found if drift else []), *(f"{node} not checked" for node in unread)] or ["not checked"]
    certificates = [result.seen for result in report.results if result.name == "certificate"]
    warnings = count(len(shown) - failed, "warning")
    lines = [Text(f"{'health':<14}{count(len(report.results), 'check')}, {failed} failed, {warnings}")]
    lines += [Text(f"         {result}", style="red" if result.level is Level.FAIL else "yellow") for result in shown]
    lines.append(Text(f"{'drift':<14}{'; '.join(found)}"))
    if certificates:
        lines.append(Text(f"certificates  {'; '.join(dict.fromkeys(certificates))}"))
    return lines


def describe_backups(backups: Sequence[Backup], now: float) -> str:
    if not backups:
        return "none"
    newest = backups[0]
    age = duration(now - newest.time.timestamp())
    return f"{len(backups)}, the newest {age} old, on {', '.join(newest.nodes)}"


def watch_screen(look: Look, console: Console, sleep: Callable[[float], None] = time.sleep) -> None:
    """Show the status until the user interrupts it: in place on a terminal, otherwise one screen after the other."""
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    with live or nullcontext():
        while True:
            shown = show(look())
            live.update(shown, refresh=True) if live else console.print(shown, highlight=False)
            sleep(WATCH_S)


def watch_json(look: Look, write: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Write the status as one line of JSON, until the user interrupts it."""
    while True:
        write(json.dumps(to_json(look()), ensure_ascii=False))
        sleep(WATCH_S)


def duration(seconds: float) -> str:
    """An approximate duration: "45 s", "12 min", "3 h 20 min", "5 days"."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 2:  # noqa: PLR2004 - below, seconds are clearer
        return f"{max(0, int(seconds))} s"
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if days < 2 else f"{days} days"  # noqa: PLR2004 - as above


def to_json(status: GroupStatus) -> dict[str, Any]:
    """The same as JSON data; a time is in seconds since 1970."""
    return {
        "stack": status.stack,
        "virtual_ips": [
            {
                "address": address,
                "public_ip": public,
                "held_by": {
                    node.name: since for node in status.nodes for held, since in node.held.items() if held == address
                },
                "havip_follows": status.cloud.get(address),
            }
            for address, public in status.virtual_ips.items()
        ],
        "nodes": [
            {"name": node.name, "address": node.address, "error": node.error, **node.data} for node in status.nodes
        ],
        "health": [result.to_data() for result in status.health.results] if status.health else None,
        "backups": None
        if status.backups is None
        else [{"name": each.name, "nodes": list(each.nodes), "size_bytes": each.size_bytes} for each in status.backups],
    }
