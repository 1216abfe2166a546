"""`localcloud engine up | preview | destroy | output`: the engine that stands in for `pulumi`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from localcloud.engine.errors import EngineError
from localcloud.engine.options import Options

# What runs the engine is imported inside the commands: Pulumi's SDK, gRPC and the cloud's SDK take most of a second,
# and every `localcloud` command imports this file.
app = typer.Typer(
    name="engine",
    help="Run a Pulumi Python program where there is no pulumi command. For localcloud only.",
    no_args_is_help=True,
)

_Stack = Annotated[str, typer.Option("--stack", "-s", help="The stack's name.")]
_Directory = Annotated[Path, typer.Option("--cwd", "-C", help="The project's directory, or one below it.")]
_ConfigFile = Annotated[
    Path | None, typer.Option("--config-file", help="Instead of Pulumi.<stack>.yaml in stackConfigDir.")
]
_StateDirectory = Annotated[
    Path | None, typer.Option("--state-dir", help="Where states are kept (default: .tandem/engine in the project).")
]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_HERE = Path()


@app.command("up")
def up_command(
    stack: _Stack,
    directory: _Directory = _HERE,
    config_file: _ConfigFile = None,
    state_directory: _StateDirectory = None,
    *,
    yes: _Yes = False,
) -> None:
    """Create, update and delete resources until they are what the program declares."""
    from localcloud.engine.run import up  # noqa: PLC0415 - slow; see the top

    del yes  # `up` never asks: it is for a cloud on this machine, which costs nothing
    _run(up, Options(stack, directory, config_file, state_directory))


@app.command("preview")
def preview_command(
    stack: _Stack,
    directory: _Directory = _HERE,
    config_file: _ConfigFile = None,
    state_directory: _StateDirectory = None,
) -> None:
    """Show what `up` would do."""
    from localcloud.engine.run import preview  # noqa: PLC0415 - slow; see the top

    _run(preview, Options(stack, directory, config_file, state_directory))


@app.command("destroy")
def destroy_command(
    stack: _Stack,
    directory: _Directory = _HERE,
    config_file: _ConfigFile = None,
    state_directory: _StateDirectory = None,
    *,
    yes: _Yes = False,
) -> None:
    """Delete everything in the stack's state, dependents first."""
    if not yes and not (sys.stdin.isatty() and typer.confirm(f"Delete every resource of stack {stack}?")):
        typer.echo("nothing was deleted; confirm with --yes", err=True)
        raise typer.Exit(1)
    from localcloud.engine.run import destroy  # noqa: PLC0415 - slow; see the top

    _run(destroy, Options(stack, directory, config_file, state_directory))


@app.command("output")
def output_command(
    stack: _Stack,
    name: Annotated[str | None, typer.Argument(help="One output; all of them without it.")] = None,
    directory: _Directory = _HERE,
    config_file: _ConfigFile = None,
    state_directory: _StateDirectory = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", "-j", help="As JSON.")] = False,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Secrets in plain text.")] = False,
) -> None:
    """Print the stack's outputs, in the form of `pulumi stack output`."""
    from localcloud.engine.session import open_session  # noqa: PLC0415 - slow; see the top
    from localcloud.engine.values import mask, reveal  # noqa: PLC0415 - slow; see the top

    try:
        outputs = open_session(Options(stack, directory, config_file, state_directory)).store.stack_outputs()
    except EngineError as error:
        _fail(error)
    shown = reveal(outputs) if show_secrets else mask(outputs)
    if name is not None and name not in shown:
        _fail(EngineError(f"stack {stack!r} has no output {name!r}; it has: {', '.join(sorted(shown)) or 'none'}"))
    value = shown if name is None else shown[name]
    if as_json:
        typer.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))
    elif name is None:
        _print_table(shown)
    else:
        typer.echo(_as_text(value))


def _print_table(outputs: dict[str, object]) -> None:
    table = Table("OUTPUT", "VALUE", box=None)
    for name in sorted(outputs):
        table.add_row(name, _as_text(outputs[name]))
    Console(soft_wrap=True, highlight=False).print(table)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _run(command: Callable[[Options], bool], options: Options) -> None:
    try:
        succeeded = command(options)
    except EngineError as error:
        _fail(error)
    if not succeeded:
        raise typer.Exit(1)


def _fail(error: EngineError) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
