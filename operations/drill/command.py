"""`tandem drill`. Imports what is slow only when a drill runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from operations.drill.faults import FAULTS, Case, Target, choose
from operations.engine import Engine, open_engine
from operations.errors import OperationError, UsageError
from operations.files import write_file
from operations.interrupts import interrupt_on_signals
from operations.localcloud import find_command
from operations.workspace import PROJECT_ROOT, find_workspace
from provisioning.health.results import count

_SSH_DEADLINE_S = 15.0


@dataclass(frozen=True, slots=True)
class Output:
    """Files to write; None: below .tandem/drills."""

    json: Path | None
    html: Path | None
    beside: Path | None


def drill(
    faults: Annotated[
        list[str] | None, typer.Argument(help="Faults to inflict. Default: all that are possible.")
    ] = None,
    stack: Annotated[str, typer.Option("--stack", "-s", help="Name of the Pulumi stack.")] = "local",
    *,
    on: Annotated[list[str] | None, typer.Option("--on", help="Only on this node: master, backup, data, both.")] = None,
    show: Annotated[bool, typer.Option("--list", help="List the faults and run nothing.")] = False,
    repeat: Annotated[int, typer.Option(min=1, max=10, help="Number of times to inflict each fault in a row.")] = 1,
    runs: Annotated[int, typer.Option(min=1, max=100, help="Number of runs of each case, each with its own load.")] = 1,
    scale: Annotated[float, typer.Option(min=0.01, max=2, help="Request rates, as a multiple of the full ones.")] = 1.0,
    watch: Annotated[float | None, typer.Option(min=1, max=600, help="Seconds until a fault is undone.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the page with the timelines to this file.")] = None,
    beside: Annotated[
        Path | None, typer.Option(help="Result (--json) of another drill to show beside, for example of profile seed.")
    ] = None,
) -> None:
    """Inflict faults on the deployed group while clients send requests, and show what they meet.

    Outside localcloud only faults that are undone over SSH are possible, after you have typed the stack's name.

    Exit code 1 if a fault cannot be undone or the group does not recover.
    """
    if show:
        Console(width=None if sys.stdout.isatty() else 120).print(_list())
        return
    on_localcloud = find_workspace(stack, os.environ) is not None
    chosen = _choose(faults or [], on or [], on_localcloud=on_localcloud)
    cases = [case for case in chosen for _ in range(runs)]
    other = _read(beside)
    if not on_localcloud:
        _confirm(stack, chosen, times=runs * repeat)
    from operations.drill.drill import Drill, Options  # noqa: PLC0415 - HTTP and SSH take 0.5 s to import
    from operations.drill.report import Setting, make_table  # noqa: PLC0415 - see above

    engine = open_engine(stack)
    outputs = engine.outputs(show_secrets=False)
    options = Options(outputs.get("profile") or "balanced", scale, repeat, watch)
    started = datetime.now(UTC)
    placement = f"on {outputs['data_node']}" if outputs.get("data_node") else "external"
    setting = Setting(stack, options.profile, placement, scale, f"{started:%Y-%m-%d %H:%M} UTC")
    running = Drill(make_site(engine, stack, on_localcloud=on_localcloud), options, typer.echo, engine.call_api())
    folder = PROJECT_ROOT / ".tandem" / "drills" / f"{stack}-{started:%Y%m%dT%H%M%SZ}"
    output = Output(json_file or folder.with_suffix(".json"), html or folder.with_suffix(".html"), beside)
    report = _run(running, cases, setting, output, other)
    Console(width=None if sys.stdout.isatty() else 160).print(make_table(report))
    typer.echo(f"result: {output.json}\npage:   {output.html}")


def make_site(engine: Engine, stack: str, *, on_localcloud: bool) -> Any:
    """The deployed group of a stack (operations/drill/site.py). Raises NoDeploymentError."""
    from operations.drill.site import Site  # noqa: PLC0415 - see `drill`
    from operations.recorded import read_deployment  # noqa: PLC0415 - see `drill`
    from provisioning.ssh.connections import connector  # noqa: PLC0415 - see `drill`

    group = read_deployment(engine.deployment(), stack)
    connect = connector(group.inventory, deadline_s=_SSH_DEADLINE_S)
    if not on_localcloud:
        return Site(group, connect, None, list)
    localcloud = find_command("localcloud")
    return Site(group, connect, _inflict, lambda command: [localcloud, "client", "--", *command])


def _inflict(arguments: Sequence[str]) -> str:
    from operations.drill.site import DrillError  # noqa: PLC0415 - see `drill`

    command = [find_command("localcloud"), "fault", *arguments]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise DrillError(f"localcloud fault {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _run(
    running: Any, cases: Sequence[Case], setting: Any, output: Output, other: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Run the cases. The files are written after each one, so that an interrupted drill leaves what it has seen."""
    from operations.drill.page import render_page  # noqa: PLC0415 - see `drill`
    from operations.drill.report import make_report  # noqa: PLC0415 - see `drill`
    from operations.drill.timeline import to_data  # noqa: PLC0415 - see `drill`

    interrupt_on_signals()
    done: list[dict[str, Any]] = []
    report = make_report(setting, done)
    for run in running.run(cases):
        done.append(to_data(run))
        report = make_report(setting, done)
        for path, text in ((output.json, json.dumps(report)), (output.html, render_page(report, other))):
            assert path is not None
            write_file(path, text)
    return report


def _choose(names: Sequence[str], on: Sequence[str], *, on_localcloud: bool) -> list[Case]:
    targets: list[Target] = [each for each in ("master", "backup", "data", "both") if each in on]
    if unknown := [each for each in on if each not in targets]:
        raise UsageError(f"--on must be master, backup, data or both (got {', '.join(unknown)})")
    try:
        cases = choose(names, targets, on_localcloud=on_localcloud)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not cases:
        raise UsageError("these faults are not inflicted on such a node; see `tandem drill --list`")
    return cases


def _read(path: Path | None) -> dict[str, Any] | None:
    from operations.drill.report import read_report  # noqa: PLC0415 - see `drill`

    return None if path is None else read_report(path)


def _confirm(stack: str, cases: Sequence[Case], *, times: int) -> None:
    """Show what will happen to a real stack, and ask for its name. Raises OperationError."""
    typer.echo(f"{count(len(cases) * times, 'fault')} on the running stack {stack}, which clients will notice:")
    for case in cases:
        typer.echo(f"  {case.title}" + (f" ({times} times)" if times > 1 else ""))
    try:
        name = typer.prompt("Type the name of the stack to continue")
    except typer.Abort:
        raise OperationError("the name was not given; nothing was done") from None
    if name != stack:
        raise OperationError("the name differs; nothing was done")


def _list() -> Table:
    table = Table("fault", "what happens", "on", "outside localcloud", box=None, pad_edge=False)
    for fault in FAULTS:
        table.add_row(fault.name, Text(fault.title), ", ".join(fault.on), "possible" if fault.safe else "")
    return table
