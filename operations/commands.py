"""The commands of `tandem`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from operations.engine import open_engine
from operations.errors import NoDeploymentError
from operations.health import examine, make_table
from operations.selection import Selection

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Tandem: deploy a stack, see what would change, ask whether it serves.",
)  # fmt: skip

Stack = Annotated[str, typer.Option("--stack", "-s", help="The Pulumi stack, e.g. prod.")]


ConfigFile = Annotated[
    Path | None, typer.Option(help="Settings to use instead of the stack's own file; stacks on localcloud only.")
]
Target = Annotated[list[str] | None, typer.Option("--target", "-t", help="Only this URN; `**` stands for any text.")]
Exclude = Annotated[list[str] | None, typer.Option("--exclude", help="All but this URN.")]
Replace = Annotated[list[str] | None, typer.Option("--replace", help="Replace this URN, though it did not change.")]
Dependents = Annotated[bool, typer.Option("--target-dependents", help="And what depends on the targets.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; on localcloud nothing is ever asked.")]


@app.command()
def up(
    stack: Stack = "local",
    *,
    config_file: ConfigFile = None,
    target: Target = None,
    exclude: Exclude = None,
    replace: Replace = None,
    target_dependents: Dependents = False,
    refresh: Annotated[bool, typer.Option(help="First read back what there is, so that drift is healed.")] = True,
    diff: Annotated[bool, typer.Option("--diff", help="Show each changed line.")] = False,
    yes: Yes = False,
) -> None:
    """Deploy a stack: `pulumi up --refresh`."""
    selection = Selection(target or (), exclude or (), replace or (), target_dependents)
    open_engine(stack, config_file, ask=not yes, report=typer.echo).up(selection, refresh=refresh, diff=diff)


@app.command()
def preview(
    stack: Stack = "local",
    *,
    config_file: ConfigFile = None,
    target: Target = None,
    exclude: Exclude = None,
    replace: Replace = None,
    target_dependents: Dependents = False,
    refresh: Annotated[bool, typer.Option(help="First read back what there is.")] = False,
) -> None:
    """Show each line that `up` would change, by the recorded state: `pulumi preview --diff`."""
    selection = Selection(target or (), exclude or (), replace or (), target_dependents)
    open_engine(stack, config_file).preview(selection, refresh=refresh)


@app.command()
def refresh(
    stack: Stack = "local",
    *,
    config_file: ConfigFile = None,
    target: Target = None,
    exclude: Exclude = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show each changed line.")] = False,
    yes: Yes = False,
) -> None:
    """Read back what there is into the state: `pulumi refresh`."""
    open_engine(stack, config_file, ask=not yes, report=typer.echo).refresh(
        Selection(target or (), exclude or ()), diff=diff
    )


@app.command()
def destroy(
    stack: Stack = "local",
    *,
    config_file: ConfigFile = None,
    target: Target = None,
    target_dependents: Dependents = False,
    yes: Yes = False,
) -> None:
    """Delete everything that the stack has: `pulumi destroy --run-program`."""
    selection = Selection(target or (), target_dependents=target_dependents)
    open_engine(stack, config_file, ask=not yes, report=typer.echo).destroy(selection)


@app.command()
def cancel(stack: Stack = "local") -> None:
    """Release the stack's lock: `pulumi cancel`. Only for a lock whose owner is gone."""
    open_engine(stack).cancel()


@app.command()
def outputs(
    name: Annotated[str | None, typer.Argument(help="One output only, as plain text.")] = None,
    stack: Stack = "local",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    show_secrets: Annotated[bool, typer.Option(help="Show secrets in plain text.")] = False,
) -> None:
    """Show what the deployment exports."""
    values = open_engine(stack).outputs(show_secrets=show_secrets)
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
    values = open_engine(stack).outputs(show_secrets=True)
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
