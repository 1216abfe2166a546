"""The entry point of `tandem`. Enters localcloud if the stack is deployed there, before any slow import."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from operations.errors import OperationError
from operations.localcloud import enter_localcloud
from provisioning.errors import ProvisioningError

_OUTSIDE = {"outputs"}  # reads only the state


def main() -> None:
    """Run a command. An OperationError is printed, and the process exits with code 1."""
    arguments = sys.argv[1:]
    try:
        if arguments and arguments[0] not in _OUTSIDE and not {"--help", "--list"} & set(arguments):
            enter_localcloud(find_stack(arguments), arguments)
        # Pulumi, gRPC and paramiko take 1 s to import, so not before entering localcloud.
        importlib.import_module("operations.commands").app()
    except (OperationError, ProvisioningError) as error:
        print_error(error, Console(stderr=True))
        sys.exit(1)


def print_error(error: Exception, console: Console) -> None:
    """Print an error. Its text may contain brackets, which Rich would interpret as markup."""
    console.print(Text.assemble(("error:", "red"), f" {error}"), highlight=False, soft_wrap=True)


def find_stack(arguments: Sequence[str]) -> str:
    """The stack named on a command line."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--stack", "-s", default="local")
    return parser.parse_known_args(arguments)[0].stack


if __name__ == "__main__":
    main()
