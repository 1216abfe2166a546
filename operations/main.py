"""The `tandem` command: the day after."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from operations.engines import choose_engine, enter_localcloud
from operations.errors import NoDeploymentError, OperationError
from operations.health import examine, make_table

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Tandem, the day after `pulumi up`: what runs, and whether it answers.",
)  # fmt: skip

Stack = Annotated[str, typer.Option("--stack", "-s", help="The Pulumi stack, e.g. prod.")]


@app.command()
def up(
    stack: Stack = "local",
    config_file: Annotated[Path | None, typer.Option(help="Settings to use instead of the stack's own file.")] = None,
) -> None:
    """Deploy a stack that lives on localcloud (for others: `pulumi up --stack NAME`)."""
    enter_localcloud(stack, sys.argv[1:])
    engine = choose_engine(stack, config_file=config_file)
    typer.echo(f"Deploying stack {stack} with {engine.name} ...")
    engine.up()


@app.command()
def preview(
    stack: Stack = "local",
    config_file: Annotated[Path | None, typer.Option(help="Settings to use instead of the stack's own file.")] = None,
) -> None:
    """Show what `up` would change: with `pulumi`, each changed line of each file (`pulumi preview --diff`)."""
    enter_localcloud(stack, sys.argv[1:])
    choose_engine(stack, config_file=config_file).preview()


@app.command()
def outputs(
    name: Annotated[str | None, typer.Argument(help="One output only, as plain text.")] = None,
    stack: Stack = "local",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    show_secrets: Annotated[bool, typer.Option(help="Show secrets in plain text.")] = False,
) -> None:
    """Show what the deployment exports."""
    values = choose_engine(stack).outputs(show_secrets=show_secrets)
    if not values:
        raise NoDeploymentError(stack, name or "public_ip", f"nothing is deployed; try `tandem up --stack {stack}`")
    if name is not None:
        if name not in values:
            raise NoDeploymentError(stack, name, f"it has {', '.join(sorted(values))}")
        typer.echo(
            values[name] if isinstance(values[name], str) and not as_json else json.dumps(values[name], indent=2)
        )
    elif as_json:
        typer.echo(json.dumps(values, indent=2))
    else:
        _print_table(values)


@app.command()
def health(stack: Stack = "local") -> None:
    """Ask the service through its public IP, and each machine. Exit code 1 unless all is well."""
    enter_localcloud(stack, sys.argv[1:])
    values = choose_engine(stack).outputs(show_secrets=True)
    if "public_ip" not in values:
        raise NoDeploymentError(stack, "public_ip", f"nothing is deployed; try `tandem up --stack {stack}`")
    seen = examine(values)
    # Without a terminal Rich would cut the table at 80 columns.
    Console(width=None if sys.stdout.isatty() else 140).print(make_table(seen, values))
    if not seen.well:
        raise typer.Exit(1)


def _print_table(values: dict[str, Any]) -> None:
    width = max(len(name) for name in values)
    for name, value in sorted(values.items()):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        first, *more = text.splitlines() or [""]
        typer.echo(f"{name:<{width}}  {first}" + (f"  (+{len(more)} lines)" if more else ""))


def main() -> None:
    """Run a command; an expected failure is its message and exit code 1."""
    try:
        app()
    except OperationError as error:
        Console(stderr=True).print(f"[red]error:[/] {error}", markup=True, highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
