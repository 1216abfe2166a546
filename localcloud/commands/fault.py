"""`localcloud fault NODE ...` and `localcloud fault api ...`."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from localcloud.commands.context import DEFAULT_NAME, LONGEST_DELAY_S, Control, Name
from localcloud.machines.paths import Paths

_FAULTS = """link-down | link-up | isolate-from PEER | heal | pause | resume | power-off | power-on
                          | kill PROCESS SIGNAL | fill-disk | cpu-stress [LOOPS] | slow-disk [MIB_PER_SECOND]"""
_HELP = f"""Inject a fault into an instance, or revert all of them with `heal`.

    localcloud fault NODE {_FAULTS}
    localcloud fault api TARGET ...       (faults of API calls: `localcloud fault api --help`)
"""


class _NodeFirst(TyperGroup):
    """The first argument is an instance's name unless it is `api`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # the type of ctx depends on the version of typer
        if args and args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "node", self.commands["node"], args


app = typer.Typer(name="fault", cls=_NodeFirst, help=_HELP, no_args_is_help=True, rich_markup_mode=None)


def takeover_delay(
    seconds: Annotated[
        float,
        typer.Argument(
            min=0.0, max=LONGEST_DELAY_S, help="Seconds, for example 0, 1, 4 or 10; a real HAVIP may take 10."
        ),
    ],
    name: Name = DEFAULT_NAME,
) -> None:
    """Set the delay between a HAVIP's announcement and its traffic, from now on."""
    Control(Paths(name)).post("/control/takeover-delay", {"seconds": seconds})
    typer.echo(f"traffic follows a HAVIP's announcement after {seconds:g} s")


@app.command("node", help="Inject a fault into one instance; run as `localcloud fault NODE FAULT`.")
def fault(
    node: Annotated[str, typer.Argument(metavar="NODE", help="Name, host name or id of the instance.")],
    fault_name: Annotated[str, typer.Argument(metavar="FAULT", help=" ".join(_FAULTS.split()))],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="ARGUMENT", help="Arguments of the fault, for example PEER.")
    ] = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Inject the fault, and print its effect and time in milliseconds."""
    request = {"node": node, "fault": fault_name, "arguments": arguments or []}
    done = Control(Paths(name)).post("/control/fault", request)
    at = time.strftime("%H:%M:%S", time.localtime(done["at"])) + f".{int(done['at'] * 1000) % 1000:03d}"
    typer.echo(f"{at} {done['node']} {done['fault']}: {done['did']} ({done['took_ms']:.1f} ms)")
