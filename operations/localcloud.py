"""How a command reaches a stack that lives on localcloud.

localcloud is a command here, never an import: Tandem and localcloud know nothing of each other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from operations.errors import OperationError
from operations.workspace import find_workspace


def command_inside(stack: str, arguments: Sequence[str], environment: Mapping[str, str]) -> list[str] | None:
    """The same `tandem` command inside `localcloud exec`, for a stack that lives there; None where none is needed.

    Addresses of its nodes cannot be reached from the host, and may belong to other machines there.
    """
    if "LOCALCLOUD_ID" in environment or find_workspace(stack, environment) is None:
        return None
    return [_beside_python("localcloud"), "exec", "--", _beside_python("tandem"), *arguments]


def enter_localcloud(stack: str, arguments: Sequence[str]) -> None:
    """Continue inside localcloud if the stack lives there; else return. Raises OperationError without localcloud."""
    command = command_inside(stack, arguments, os.environ)
    if command is not None:
        try:
            os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
        except OSError as error:
            raise OperationError(
                f"{command[0]} cannot be run: {error.strerror}\n  look at: may you read this checkout's .venv"
            ) from None


def _beside_python(command: str) -> str:
    beside = Path(sys.executable).with_name(command)
    return str(beside) if beside.exists() else command
