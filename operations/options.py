"""Options that several commands of `tandem` share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from operations.errors import OperationError
from operations.stack_names import name_stack
from operations.workspace import find_workspace

Stack = Annotated[str, typer.Option("--stack", "-s", help="Name of the Pulumi stack, for example prod.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        envvar="TANDEM_CONFIG_FILE",
        help="Settings file to use instead of the stack's. Only for stacks on localcloud.",
    ),
]
Target = Annotated[
    list[str] | None, typer.Option("--target", "-t", help="Limit the operation to this URN; `**` matches any text.")
]
Exclude = Annotated[list[str] | None, typer.Option("--exclude", help="Exclude this URN from the operation.")]
Replace = Annotated[list[str] | None, typer.Option("--replace", help="Replace this URN, even if it has no changes.")]
Dependents = Annotated[bool, typer.Option("--target-dependents", help="Include resources that depend on the targets.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
NodeName = Annotated[str, typer.Argument(metavar="NODE", help="Name of the node, for example iam-b.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\n\n".join(["Examples:", *(f"  {line}" for line in lines)])


def ask_first(question: str, stack: str, *, yes: bool) -> None:
    """Ask, except with `--yes` and for stacks on localcloud. Ends the command if the answer is no."""
    if not yes and find_workspace(stack, os.environ) is None:
        confirm(question)


def reporter(stack: str) -> Callable[[str], None]:
    """Return a function that prints a message, with the stack in each command that it names."""
    return lambda text: typer.echo(name_stack(text, stack))


def confirm(question: str) -> None:
    """Ask. Raises OperationError if the answer is no or cannot be given."""
    try:
        agreed = typer.confirm(question)
    except typer.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise OperationError("not confirmed; nothing was changed\n  without a terminal, use --yes") from None
    if not agreed:
        raise OperationError("not confirmed; nothing was changed")
