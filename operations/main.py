"""The entry point of `tandem`. Enters localcloud if the stack is deployed there, before any slow import.

Exit codes: 0 success; 1 failure, or a check that failed; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress

from operations.errors import OperationError, UsageError
from operations.localcloud import enter_localcloud
from operations.stack_names import INSIDE, name_stack
from provisioning.errors import ProvisioningError

_DEBUG = "TANDEM_DEBUG"
_OBJECTS_BETWEEN_COLLECTIONS = 100_000


def main() -> None:
    """Run a command. An OperationError is printed, and the process exits with code 1, or 2 for wrong usage."""
    arguments = order_ssh(sys.argv[1:]) if sys.argv[1:2] == ["ssh"] else sys.argv[1:]
    try:
        if INSIDE & set(arguments[:1]) and not {"--help", "--list"} & set(arguments):
            enter_localcloud(find_stack(arguments), arguments)
        _run_command(arguments)
    except (OperationError, ProvisioningError) as error:
        fail_with(error, arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if os.environ.get(_DEBUG):
            raise
        fail_with(describe_system_error(error))
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        fail_with(describe_bug(error))


def _run_command(arguments: Sequence[str]) -> None:
    """Run a command. Pulumi, gRPC and paramiko take 1 s to import, so not before entering localcloud.

    Nearly all objects (modules, resources) live until the command ends: searching them for garbage would take 0.3 s.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    try:
        importlib.import_module("operations.commands").app(list(arguments), prog_name="tandem")
    finally:
        gc.freeze()  # otherwise the interpreter searches all objects when it exits


def describe_bug(error: Exception) -> str:
    """An error that no part of Tandem has foreseen. Its traceback would hide what it says."""
    return f"{type(error).__name__}: {error}\n  this is a bug of Tandem; {_DEBUG}=1 shows where it happened"


def describe_system_error(error: OSError) -> str:
    """An error of the host, such as a full disk or a directory that does not exist."""
    subject = error.filename or "reading or writing failed"
    return f"{subject}: {error.strerror or error}\n  {_DEBUG}=1 shows where it happened"


def exit_code_of(error: object) -> int:
    return 2 if isinstance(error, UsageError) else 1


def fail_with(error: object, arguments: Sequence[str] = ()) -> None:
    """Print an error, with the stack of the command line in the commands that it names, and exit."""
    from operations.messages import print_error  # noqa: PLC0415 - a command that enters localcloud needs no Rich

    text = str(error)
    with suppress(UsageError):  # the option --stack itself is wrong
        text = name_stack(text, find_stack(arguments))
    print_error(text)
    sys.exit(exit_code_of(error))


def find_stack(arguments: Sequence[str]) -> str:
    """The stack named on a command line. Raises UsageError."""
    if arguments[:1] == ["ssh"]:
        arguments = _split_ssh(arguments)[0]
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--stack", "-s", default="local")
    try:
        # Flags may stand before another option, as in -ys and -fn.
        return parser.parse_known_args([re.sub(r"^-[yf]+(?=.)", "-", each) for each in arguments])[0].stack
    except argparse.ArgumentError:
        raise UsageError("--stack must be followed by the name of a stack") from None


def order_ssh(arguments: Sequence[str]) -> list[str]:
    """Put the options of `tandem ssh NODE --stack prod COMMAND` before NODE: all that follows it is the command."""
    own, command = _split_ssh(arguments)
    return [*own, *command]


def _split_ssh(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """`ssh` with its options and NODE; the remote command, which may have options of the same names."""
    options, node, words = list[str](), list[str](), list(arguments[1:])
    while words:
        if words[0] in {"--stack", "-s"}:
            options += words[:2]
            del words[:2]
        elif words[0].startswith("--stack="):
            options.append(words.pop(0))
        elif node or words[0].startswith("-"):
            break
        else:
            node.append(words.pop(0))
    return ["ssh", *options, *node], words


if __name__ == "__main__":
    main()
