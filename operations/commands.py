"""The commands of `tandem`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from operations.backup_commands import app as backup_commands
from operations.drill.command import drill
from operations.engine import open_engine
from operations.errors import EngineError, NoDeploymentError, OperationError, SettingsRefusedError
from operations.events import Preview, read_preview
from operations.interrupts import interrupt_on_signals
from operations.node_commands import app as node_commands
from operations.options import (
    ConfigFile,
    Dependents,
    Exclude,
    Replace,
    Stack,
    Target,
    Yes,
    ask_first,
    confirm,
    examples,
    reporter,
)
from operations.outputs import to_lines
from operations.preview_comment import to_markdown
from operations.rollback import find_inventory, pardon, roll_back
from operations.selection import Selection
from operations.setup_commands import app as setup_commands
from operations.stack_names import name_stack_in
from operations.unlock import find_locks, release_locks
from provisioning.traffic.havip import confirm_with
from provisioning.traffic.node_changes import Group

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False,
    help="Tandem: deploy a stack, preview its changes, see and change what runs.",
    epilog="Exit codes: 0 success, 1 failure or a failed check, 2 wrong usage, 130 interrupted. "
    "Shell completion: tandem --install-completion. Every command: tandem COMMAND --help.",
)  # fmt: skip
app.add_typer(node_commands)
app.add_typer(setup_commands)
app.add_typer(backup_commands)


@app.command(epilog=examples("tandem up", "tandem up --stack prod", "tandem up --stack prod --diff --yes"))
def up(
    stack: Stack = "local",
    *,
    config_file: ConfigFile = None,
    target: Target = None,
    exclude: Exclude = None,
    replace: Replace = None,
    target_dependents: Dependents = False,
    refresh: Annotated[bool, typer.Option(help="Read the actual state first, so that drift is corrected.")] = True,
    diff: Annotated[bool, typer.Option("--diff", help="Show each changed line.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Deploy the revision even if it was rolled back with `tandem rollback`.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Deploy a stack: `pulumi up --refresh`."""
    selection = Selection(target or (), exclude or (), replace or (), target_dependents)
    engine = open_engine(stack, config_file, ask=not yes, report=reporter(stack))
    if force:
        pardon(find_inventory(engine.deployment(), stack), reporter(stack))
    engine.up(selection, refresh=refresh, diff=diff)


@app.command(epilog=examples("tandem preview --stack prod", "tandem preview --stack prod --markdown >comment.md"))
def preview(
    stack: Stack = "local",
    *,
    config_file: ConfigFile = None,
    target: Target = None,
    exclude: Exclude = None,
    replace: Replace = None,
    target_dependents: Dependents = False,
    refresh: Annotated[bool, typer.Option(help="Read the actual state first.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the comment for a pull request instead.")] = False,
) -> None:
    """Show each line that `up` would change: `pulumi preview --diff`. Compares with the recorded state."""
    selection = Selection(target or (), exclude or (), replace or (), target_dependents)
    if not markdown:
        open_engine(stack, config_file).preview(selection, refresh=refresh)
        return
    events: list[str] = []
    try:
        open_engine(stack, config_file, events=events).preview(selection, refresh=refresh)
    except SettingsRefusedError as error:
        typer.echo(to_markdown(Preview((), errors=(str(error),)), stack))
        raise
    except EngineError:
        # The comment contains the errors.
        typer.echo(to_markdown(read_preview(events), stack))
        raise
    typer.echo(to_markdown(read_preview(events), stack))


@app.command(epilog=examples("tandem refresh --stack prod --diff"))
def refresh(
    stack: Stack = "local",
    *,
    config_file: ConfigFile = None,
    target: Target = None,
    exclude: Exclude = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show each changed line.")] = False,
    yes: Yes = False,
) -> None:
    """Update the state from the actual resources: `pulumi refresh`."""
    open_engine(stack, config_file, ask=not yes, report=reporter(stack)).refresh(
        Selection(target or (), exclude or ()), diff=diff
    )


@app.command(epilog=examples("tandem destroy --stack staging"))
def destroy(
    stack: Stack = "local",
    *,
    config_file: ConfigFile = None,
    target: Target = None,
    target_dependents: Dependents = False,
    yes: Yes = False,
) -> None:
    """Delete all resources of the stack: `pulumi destroy --run-program`."""
    selection = Selection(target or (), target_dependents=target_dependents)
    open_engine(stack, config_file, ask=not yes, report=reporter(stack)).destroy(selection)


@app.command(epilog=examples("tandem rollback --stack prod"))
def rollback(stack: Stack = "local", *, yes: Yes = False) -> None:
    """Return all nodes to the previous revision. The newer one is refused until the program changes."""
    from operations.recorded import read_deployment  # noqa: PLC0415 - HTTP takes 0.5 s to import

    engine = open_engine(stack, report=reporter(stack))
    deployment = engine.deployment()
    inventory = find_inventory(deployment, stack)
    items = read_deployment(deployment, stack).items
    ask_first(f"Return the nodes of stack {stack} to their previous revision?", stack, yes=yes)
    rejected = roll_back(engine, inventory, items, reporter(stack))
    typer.echo(
        f"The nodes have their previous revision again. Revision {rejected} is rejected: `tandem up` refuses it until\n"
        f"the program or its settings change. `tandem up --force --stack {stack}` deploys it nevertheless."
    )


@app.command(epilog=examples("tandem switchover --stack prod", "tandem switchover --to iam-b"))
def switchover(
    stack: Stack = "local",
    *,
    to: Annotated[
        str | None, typer.Option(help="Node to move the virtual IPs to. Default: the peer of the master.")
    ] = None,
    back: Annotated[
        bool,
        typer.Option(
            "--back", help="End an earlier switchover, with keepalived.mode preempt, delayed-preempt or dual-master."
        ),
    ] = False,
    yes: Yes = False,
) -> None:
    """Drain a node and move its virtual IPs to its peer; confirm it with the HAVIP and a request from outside.

    Exit code 1 if the move is refused, fails or is not confirmed.
    """
    from operations.recorded import read_deployment  # noqa: PLC0415 - HTTP and SSH take 0.5 s to import
    from operations.switchover import run  # noqa: PLC0415 - see above

    engine = open_engine(stack)
    deployed = read_deployment(engine.deployment(), stack)
    ask_first(f"Move the virtual IPs of stack {stack}? Connections that stay open are cut off.", stack, yes=yes)
    confirm = confirm_with(deployed.inventory, engine.cloud_settings())
    interrupt_on_signals()
    group = Group(deployed.inventory, confirm, reporter(stack))
    run(group, deployed.public, to=to, back=back, call_api=engine.call_api())


app.command(epilog=examples("tandem drill --stack staging", "tandem drill --list"))(drill)


@app.command(epilog=examples("tandem fence iam-b --stack prod"))
def fence(
    node: Annotated[str, typer.Argument(help="Eligible node that must not receive traffic any more.")],
    stack: Stack = "local",
    *,
    yes: Yes = False,
) -> None:
    """Detach the virtual IPs from a node in the cloud, if two nodes hold one and cannot be made to hear each other.

    Refused unless another node holds the virtual IPs and serves. `tandem up` attaches the node again.
    """
    from operations.fencing import run  # noqa: PLC0415 - HTTP and SSH take 0.5 s to import
    from operations.recorded import read_deployment  # noqa: PLC0415 - see above

    engine = open_engine(stack)
    deployed = read_deployment(engine.deployment(), stack)
    ask_first(f"Detach the virtual IPs of stack {stack} from {node} in the cloud?", stack, yes=yes)
    run(deployed.inventory, node, engine.cloud_settings(), reporter(stack))


@app.command(epilog=examples("tandem cancel --stack prod"))
def cancel(stack: Stack = "local") -> None:
    """Release the lock of the stack: `pulumi cancel`. Use this only if the owner of the lock has ended."""
    open_engine(stack).cancel()


@app.command(epilog=examples("tandem unlock --stack prod"))
def unlock(stack: Stack = "local", *, yes: Yes = False) -> None:
    """Show the change lock of each node, and release it. Use this only if its owner has ended.

    Exit code 1 if a node could not be reached.
    """
    inventory = find_inventory(open_engine(stack).deployment(), stack)
    locks = find_locks(inventory)
    for lock in locks:
        typer.echo(lock.describe())
    if any(lock.lease for lock in locks):
        if not yes:
            confirm("An owner that still runs will stop with an error. Release the lock?")
        for line in release_locks(inventory, locks):
            typer.echo(line)
    if any(lock.error for lock in locks):
        raise typer.Exit(1)


@app.command(
    epilog=examples(
        "tandem outputs", "tandem outputs public_ip", "tandem outputs admin_password --show-secrets --stack prod"
    )
)
def outputs(
    name: Annotated[str | None, typer.Argument(help="Show only this output, as plain text.")] = None,
    stack: Stack = "local",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Show the outputs as JSON.")] = False,
    show_secrets: Annotated[bool, typer.Option(help="Show secrets as plain text.")] = False,
) -> None:
    """Show the outputs of the deployment."""
    values = open_engine(stack).outputs(show_secrets=show_secrets)
    if not values:
        raise NoDeploymentError(stack)
    if name is not None:
        if name not in values:
            raise OperationError(f"stack {stack} has no output {name}; its outputs are {', '.join(sorted(values))}")
        typer.echo(
            values[name] if isinstance(values[name], str) and not as_json else json.dumps(values[name], indent=2)
        )
    elif as_json:
        typer.echo(json.dumps(values, indent=2))
    else:
        typer.echo("\n".join(to_lines(values)))


@app.command(epilog=examples("tandem health --stack prod", "tandem health --json"))
def health(
    stack: Stack = "local",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Show the results as JSON.")] = False,
) -> None:
    """Check what users of the services see, each node and the group. Exit code 1 if a check fails.

    A warning (for example a certificate that expires within 30 days) does not change the exit code.
    """
    from operations.health import check, make_table, to_json  # noqa: PLC0415 - HTTP and SSH take 0.5 s to import
    from operations.recorded import read_deployment  # noqa: PLC0415 - see above

    engine = open_engine(stack)
    report = name_stack_in(check(read_deployment(engine.deployment(), stack), engine.call_api()), stack)
    if as_json:
        typer.echo(json.dumps(to_json(report), indent=2, ensure_ascii=False))
    else:
        # Without a terminal, Rich would limit the table to 80 columns.
        Console(width=None if sys.stdout.isatty() else 180).print(make_table(report, stack))
    if not report.healthy:
        raise typer.Exit(1)
