"""The commands of `tandem` that concern the nodes of a deployed group."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from operations.engine import Engine, open_engine
from operations.errors import UsageError
from operations.files import write_file
from operations.interrupts import interrupt_on_signals
from operations.options import AsJson, ConfigFile, NodeName, Stack, Yes, ask_first, examples, reporter
from operations.rollback import find_inventory
from operations.selection import Selection
from operations.workspace import PROJECT_ROOT
from provisioning.inventory import Inventory, RemoteNode
from provisioning.ssh.connections import connector
from provisioning.traffic.havip import confirm_with
from provisioning.traffic.node_changes import Group as ChangingGroup
from provisioning.traffic.node_changes import drain_node, put_back_node

app = typer.Typer()
_HOUR_MIN = 60


@app.command(epilog=examples("tandem status --stack prod", "tandem status --watch", "tandem status --json"))
def status(
    stack: Stack = "local",
    *,
    as_json: AsJson = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Repeat every 2 s until Ctrl+C, without health checks.")
    ] = False,
) -> None:
    """Show who holds each virtual IP, the nodes, their revisions and load, health, drift, certificates and backups.

    Exit code 1 if a health check fails.
    """
    from operations.recorded import read_deployment  # noqa: PLC0415 - HTTP and SSH take 0.5 s to import
    from operations.status import (  # noqa: PLC0415 - as above
        GroupStatus,
        gather,
        show,
        to_json,
        watch_json,
        watch_screen,
    )  # fmt: skip

    engine = open_engine(stack)
    group, call_api = read_deployment(engine.deployment(), stack), engine.call_api()
    console = Console(width=None if sys.stdout.isatty() else 200)
    if watch:

        def look() -> GroupStatus:
            return gather(group, stack, call_api, check_health=None)

        watch_json(look, typer.echo) if as_json else watch_screen(look, console)
        return
    found = gather(group, stack, call_api)
    if as_json:
        typer.echo(json.dumps(to_json(found), indent=2, ensure_ascii=False))
    else:
        console.print(show(found), highlight=False)
    if not found.healthy:
        raise typer.Exit(1)


@app.command(epilog=examples("tandem logs", "tandem logs iam-a nginx --since -10min", "tandem logs --follow"))
def logs(
    node: Annotated[str | None, typer.Argument(metavar="[NODE]", help="Only this node.")] = None,
    unit: Annotated[list[str] | None, typer.Argument(metavar="[UNIT]...", help="Only these units.")] = None,
    stack: Stack = "local",
    *,
    since: Annotated[str, typer.Option(help="A time of journalctl: '-1h', '2026-11-27 02:00' (UTC).")] = "-1h",
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, help="Show the newest lines, at most this many of each node.")
    ] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue with new lines until Ctrl+C.")] = False,
) -> None:
    """Show the log lines of the nodes in the order of their time. Secrets of the stack are masked."""
    from operations.logs import LogReader  # noqa: PLC0415 - with `recorded`, as above
    from operations.recorded import list_secrets, read_rollout  # noqa: PLC0415 - as above
    from provisioning.exports import parse_inventory  # noqa: PLC0415 - as above

    rollout = read_rollout(open_engine(stack).deployment(), stack)
    inventory = parse_inventory(rollout)
    nodes = [_get(inventory, node)] if node else list(inventory.nodes)
    reader = LogReader(nodes, connector(inventory, deadline_s=10), unit or (), list_secrets(rollout), _to_stderr)
    with closing(reader):
        for line in reader.follow(since, lines) if follow else reader.read(since, lines):
            typer.echo(str(line))


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=examples("tandem ssh iam-a", "tandem ssh --stack prod iam-a sudo journalctl -u nginx"),
)
def ssh(
    node: NodeName,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMMAND]...", help="Command for the node's shell. Default: a login shell."),
    ] = None,
    stack: Stack = "local",
) -> None:
    """Open a shell on a node: host key pinned, through the bastion if there is one. Exit code: that of ssh."""
    from operations.ssh import open_shell  # noqa: PLC0415 - only this command needs it

    raise typer.Exit(open_shell(find_inventory(open_engine(stack).deployment(), stack), node, command or ()))


@app.command(epilog=examples("tandem plan --stack prod", "tandem plan --json"))
def plan(stack: Stack = "local", *, config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show what a rollout of the present program and settings would change on the nodes. Changes nothing.

    Exit code 1 if a rollout would be refused.
    """
    from operations.events import read_preview  # noqa: PLC0415 - as above
    from operations.node_plan import describe_plans, plan_nodes  # noqa: PLC0415 - as above
    from operations.recorded import read_rollout  # noqa: PLC0415 - as above
    from provisioning.exports import parse_inventory  # noqa: PLC0415 - as above

    events: list[str] = []
    engine = open_engine(stack, config_file, events=events)
    recorded = read_rollout(engine.deployment(), stack)
    engine.preview()
    plans = plan_nodes(read_preview(events), recorded, connector(parse_inventory(recorded), deadline_s=10))
    if as_json:
        typer.echo(json.dumps([each.to_data() for each in plans], indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(describe_plans(plans)))
    if any(each.refused for each in plans):
        raise typer.Exit(1)


@app.command(epilog=examples("tandem drain iam-b --stack prod", "tandem undrain iam-b --stack prod"))
def drain(
    node: NodeName,
    stack: Stack = "local",
    *,
    minutes: Annotated[int, typer.Option(min=1, max=24 * _HOUR_MIN, help="Afterwards the node returns.")] = _HOUR_MIN,
) -> None:
    """Take a node out of service: out of every upstream, its virtual IPs to the peer. Refused unless others serve.

    Only one node of a group can be out of service.
    The node returns with `tandem undrain`, with the next `tandem up`, or after the given time.
    """
    group = _changing(open_engine(stack), stack)
    _get(group.inventory, node)
    drain_node(group, node, minutes * 60)
    typer.echo(f"{node} is out of service for at most {minutes} min. tandem undrain {node} --stack {stack} ends this.")


@app.command(epilog=examples("tandem undrain iam-b --stack prod"))
def undrain(node: NodeName, stack: Stack = "local") -> None:
    """Put a node back into service as soon as it serves. The virtual IP stays where it is."""
    group = _changing(open_engine(stack), stack)
    _get(group.inventory, node)
    put_back_node(group, node)
    typer.echo(f"{node} is in service.")


@app.command(epilog=examples("tandem replace iam-b --stack prod"))
def replace(
    node: NodeName,
    stack: Stack = "local",
    *,
    config_file: ConfigFile = None,
    yes: Yes = False,
) -> None:
    """Rebuild a node: leave the group, delete the instance, create it again with its name and address.

    The image is `nodes.image`. Other changed settings are deployed, too.
    """
    engine = open_engine(stack, config_file, ask=not yes, report=reporter(stack))
    _get(find_inventory(engine.deployment(), stack), node)
    ask_first(f"Delete the instance of {node} and create it again?", stack, yes=yes)
    engine.up(Selection(replace=[f"**tencentcloud:Instance/instance:Instance::nodes.{node}"]), refresh=True)


@app.command(epilog=examples("tandem report --stack prod", "tandem report --stack prod --output status.html"))
def report(
    stack: Stack = "local",
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write. Default: STACK.html.")] = None,
) -> None:
    """Write one HTML page: the topology, the state, the last changes and the last drill. Contains no secret."""
    from operations.recorded import read_deployment  # noqa: PLC0415 - as above
    from operations.report import find_last_drill, make_page  # noqa: PLC0415 - as above
    from operations.status import gather  # noqa: PLC0415 - as above

    engine = open_engine(stack)
    group = read_deployment(engine.deployment(), stack)
    found = gather(group, stack, engine.call_api())
    drill = find_last_drill(PROJECT_ROOT / ".tandem" / "drills", stack)
    file = output or Path(f"{stack}.html")
    write_file(file, make_page(group, found, engine.history(), drill))
    typer.echo(f"{file} is written.")


def _changing(engine: Engine, stack: str) -> ChangingGroup:
    interrupt_on_signals()
    inventory = find_inventory(engine.deployment(), stack)
    return ChangingGroup(inventory, confirm_with(inventory, engine.cloud_settings()), reporter(stack))


def _get(inventory: Inventory, name: str) -> RemoteNode:
    try:
        return inventory.get(name)
    except KeyError:
        names = ", ".join(node.name for node in inventory.nodes)
        raise UsageError(f"NODE must be one of {names} (got {name})") from None


def _to_stderr(line: str) -> None:
    typer.echo(line, err=True)
