"""The commands of `tandem` for backups of the databases."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated

import typer

from operations.backup import Backups, open_backups, parse_time
from operations.engine import open_engine
from operations.errors import NoDeploymentError, UsageError
from operations.options import Stack, Yes, confirm, examples, reporter
from operations.state_format import read_outputs

app = typer.Typer()


@app.command(epilog=examples("tandem backup --stack prod"))
def backup(stack: Stack = "local") -> None:
    """Make a backup of the databases now, in addition to the nightly one."""
    with _open_backups(stack) as found:
        found.create()


@app.command(epilog=examples("tandem backups --stack prod"))
def backups(stack: Stack = "local") -> None:
    """List the backups of the databases on the nodes."""
    with _open_backups(stack) as found:
        found.show()


@app.command(epilog=examples("tandem restore --stack prod", "tandem restore --stack prod --at '2026-11-27 03:00'"))
def restore(
    stack: Stack = "local",
    *,
    at: Annotated[str | None, typer.Option(help="Restore the newest backup made at or before this time (UTC).")] = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="Accept the loss of the data: start with an empty database.")
    ] = False,
    audit_queue: Annotated[
        bool, typer.Option("--audit-queue", help="Restore queued audit records too; some may be recorded twice.")
    ] = False,
    discard: Annotated[
        bool, typer.Option("--discard", help="Make no backup of the present data first, for example if it is damaged.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Restore the database from a backup."""
    if empty and (at or audit_queue or discard):
        raise UsageError("--empty cannot be combined with --at, --audit-queue or --discard")
    ask: Callable[[str], None] = (lambda _question: None) if yes else confirm
    with _open_backups(stack) as found:
        if empty:
            found.start_empty(ask)
        else:
            found.restore(parse_time(at) if at else None, audit_queue=audit_queue, discard=discard, confirm=ask)


def _open_backups(stack: str) -> AbstractContextManager[Backups]:
    values = read_outputs(open_engine(stack).deployment())
    if "public_ip" not in values:
        raise NoDeploymentError(stack)
    return open_backups(values, reporter(stack))
