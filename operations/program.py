"""The Pulumi program for `pulumi.automation`, which runs it in this process without a language host."""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping

from operations.errors import SettingsRefusedError
from operations.workspace import PROJECT_ROOT, find_config_file, shorten
from settings import yaml_files


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
    given = find_config_file(name, environment)
    file = str(given or f"stacks/Pulumi.{name}.yaml")  # as the program names it (settings/load.py)
    if "config" in yaml_files.read(PROJECT_ROOT / "Pulumi.yaml"):
        return  # Pulumi adds these settings to those of the file
    checked = check_file(given or PROJECT_ROOT / file, name)
    if checked.has_environment:
        return
    # The program does not see keys of other namespaces.
    problems = tuple(problem for problem in checked.problems if problem.text != FOREIGN_KEY)
    if problems:
        raise SettingsRefusedError(shorten(str(SettingsError(file, problems))))
