"""The Pulumi program for `pulumi.automation`, which runs it in this process without a language host."""

from __future__ import annotations

import runpy

from operations.workspace import PROJECT_ROOT


def run_program() -> None:
    """Declare all resources. Runs once for the preview and once for the operation."""
    runpy.run_path(str(PROJECT_ROOT / "__main__.py"), run_name="__main__")
