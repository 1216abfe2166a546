"""Checks which modules of `pulumi` are imported (import-linter cannot), and the drawing in docs/architecture.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

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


# The modules that load the settings; the rest of `settings` are models.
LOADING = ("check", "load", "parsing", "problems", "reference", "rules", "schema")
SDKS = {"pulumi", "pulumi_random", "pulumi_tls", "tencentcloud_iac_pulumi"}
PACKAGES = ("settings", "components", "provisioning", "operations", "localcloud", "samples")


def part(module: str) -> str:
    """The box of the drawing that contains a module; empty if it is not ours and not Pulumi's."""
    first, _, rest = module.partition(".")
    if f"{module}.".startswith("pulumi.automation."):
        return "pulumi.automation"
    if first in SDKS:
        return "Pulumi and its provider SDKs"
    if first == "settings":
        return "settings/load.py" if rest.split(".")[0] in LOADING else "settings (models)"
    return module if module == "__main__.py" else first if first in PACKAGES else ""


def arrows_of_the_code() -> set[tuple[str, str]]:
    files = [PROJECT_ROOT / "__main__.py", *(file for name in PACKAGES for file in (PROJECT_ROOT / name).rglob("*.py"))]
    arrows: set[tuple[str, str]] = set()
    for file in files:
        name = str(file.relative_to(PROJECT_ROOT))
        source = part(name if name == "__main__.py" else name.removesuffix(".py").replace("/", "."))
        arrows |= {(source, target) for module in imported(file.read_text()) if (target := part(module))}
    return {(source, target) for source, target in arrows if source != target}


def arrows_of_the_drawing() -> set[tuple[str, str]]:
    page = (PROJECT_ROOT / "docs" / "architecture.md").read_text()
    drawing = page.partition("```mermaid")[2].partition("```")[0]
    labels = dict(re.findall(r'(\w+)\["([^"]+)"\]', drawing))
    pairs = re.findall(r"(\w+)\S*(?:\[[^\]]*\])? --> (\w+)", drawing)
    return {(labels.get(source, source), labels.get(target, target)) for source, target in pairs}


def test_the_drawing_of_the_architecture_has_every_import() -> None:
    assert arrows_of_the_drawing() == arrows_of_the_code()


# `tandem up` without changes takes 6 s on two cores; each of these costs it 0.05 to 0.4 s (docs/performance.md).
@pytest.mark.parametrize(
    ("started", "unneeded"),
    [
        pytest.param("operations.main", "pydantic pulumi rich typer", id="before entering localcloud"),
        pytest.param("operations.commands", "cryptography httpx jinja2 paramiko", id="the command line"),
        pytest.param(
            "components.rollout components.health components.host_keys",
            "cryptography httpx jinja2 paramiko pydantic pulumi_tls rich tencentcloud_iac_pulumi",
            id="the plugin of the dynamic resources",
        ),
        pytest.param("localcloud.main", "cryptography pulumi pyroute2 rich starlette", id="localcloud exec"),
        pytest.param(
            "components.rollout_resource components.health_resource components.host_keys_resource settings.load",
            "httpx paramiko",
            id="the program",
        ),
    ],
)
def test_no_slow_module_is_imported_before_it_is_needed(started: str, unneeded: str) -> None:
    imports = "; ".join(f"import {module}" for module in started.split())
    script = f"import sys; {imports}; print(*({set(unneeded.split())} & sys.modules.keys()))"
    shown = subprocess.run([sys.executable, "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout == "\n"
