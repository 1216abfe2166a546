"""The `tandem` command: continues inside localcloud where the stack lives there, and only then imports what is slow."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from rich.console import Console

from operations.errors import OperationError
from operations.localcloud import enter_localcloud

_OUTSIDE = {"outputs"}  # reads the state alone


def main() -> None:
    """Run a command; an expected failure is its message and exit code 1."""
    words = sys.argv[1:]
    try:
        if words and words[0] not in _OUTSIDE and "--help" not in words:
            enter_localcloud(find_stack(words), words)
        # Pulumi, gRPC and paramiko take a second, and would be imported twice.
        importlib.import_module("operations.commands").app()
    except OperationError as error:
        Console(stderr=True).print(f"[red]error:[/] {error}", markup=True, highlight=False, soft_wrap=True)
        sys.exit(1)


def find_stack(words: Sequence[str]) -> str:
    """The stack that a command line names."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--stack", "-s", default="local")
    return parser.parse_known_args(words)[0].stack


if __name__ == "__main__":
    main()
