"""Runs a command inside localcloud if its stack is deployed there.

Uses the command `localcloud`, never its modules: Tandem and localcloud do not depend on each other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from operations.errors import OperationError
from operations.workspace import find_workspace


def command_inside(stack: str, arguments: Sequence[str], environment: Mapping[str, str]) -> list[str] | None:
    """The same `tandem` command inside `localcloud exec`, or None if it can run directly.

    The addresses of the nodes cannot be reached from the host, where they may belong to other computers.
    """
    if "LOCALCLOUD_ID" in environment or find_workspace(stack, environment) is None:
        return None
    return [find_command("localcloud"), "exec", "--", find_command("tandem"), *arguments]


def enter_localcloud(stack: str, arguments: Sequence[str]) -> None:
    """Replace this process by the same command inside localcloud if the stack is deployed there; otherwise return.

    Raises OperationError if localcloud cannot be run.
    """
    command = command_inside(stack, arguments, os.environ)
    if command is not None:
        try:
            os.execvp(command[0], command)  # noqa: S606 - needs no shell
        except OSError as error:
            raise OperationError(
                f"{command[0]} cannot be run: {error.strerror}\n  look at: the permissions of this checkout's .venv"
            ) from None


def find_command(command: str) -> str:
    installed = Path(sys.executable).with_name(command)
    return str(installed) if installed.exists() else command
