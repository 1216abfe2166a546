"""The Pulumi program for `pulumi.automation`, which runs it in this process without a language host."""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from pathlib import Path

from operations.errors import SettingsRefusedError
from operations.workspace import PROJECT_ROOT


def run_program() -> None:
    """Declare all resources. Runs once for the preview and once for the operation."""
    runpy.run_path(str(PROJECT_ROOT / "__main__.py"), run_name="__main__")


def check_settings(stack: str, environment: Mapping[str, str] = os.environ) -> None:
    """Check the stack's settings without the engine, which would print the report of the program twice.

    The program checks them again, with the encrypted values. Raises SettingsRefusedError.
    """
    from settings.check import FOREIGN_KEY, check_file  # noqa: PLC0415 - only for commands that run the program
    from settings.problems import SettingsError  # noqa: PLC0415 - as above

    name = stack.rpartition("/")[2]
    given = environment.get("TANDEM_CONFIG_FILE")
    file = given or f"stacks/Pulumi.{name}.yaml"  # as the program names it (settings/load.py)
    # The program does not see keys of other namespaces.
    found = check_file(Path(given) if given else PROJECT_ROOT / file, name).problems
    problems = tuple(problem for problem in found if problem.text != FOREIGN_KEY)
    if problems:
        raise SettingsRefusedError(str(SettingsError(file, problems)))
