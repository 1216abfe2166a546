"""The program as `pulumi.automation` runs it: in this process, without a language host."""

from __future__ import annotations

import runpy

from operations.workspace import PROJECT_ROOT


def run_program() -> None:
    """Declare everything. Runs once for each operation, and once more for the preview before it."""
    runpy.run_path(str(PROJECT_ROOT / "__main__.py"), run_name="__main__")
