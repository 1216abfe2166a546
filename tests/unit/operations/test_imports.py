"""Checks which modules of `pulumi` are imported; import-linter checks packages only."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from operations.workspace import PROJECT_ROOT


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_operations_imports_only_the_automation_module_of_pulumi() -> None:
    files = list((PROJECT_ROOT / "operations").rglob("*.py"))
    assert files
    wrong = {
        f"{file.name}: {name}"
        for file in files
        for name in imported(file.read_text())
        if name.split(".")[0] == "pulumi" and not f"{name}.".startswith("pulumi.automation.")
    }
    assert wrong == set()
