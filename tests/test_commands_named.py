"""Every `tandem` and `localcloud` command that a message or a page of the docs names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_group

from localcloud.main import app as localcloud
from operations.commands import app as tandem

ROOT = Path(__file__).resolve().parents[1]
PLACES = (
    "README.md",
    "docs",
    "stacks",
    "settings",
    "components",
    "provisioning",
    "operations",
    "localcloud",
    "scripts",
)
NAMED = re.compile(r"(?:`|look_at=\"(?:[^\"]*[ ;])?|try |^)(tandem|localcloud) ([a-z][a-z-]+)", re.MULTILINE)


def _texts() -> list[Path]:
    files = [file for place in PLACES for file in [ROOT / place, *(ROOT / place).rglob("*")] if file.is_file()]
    return [file for file in files if file.suffix in {".py", ".md", ".yaml", ".j2", ".sh", ""}]


@pytest.mark.parametrize("name", ["tandem", "localcloud"])
def test_every_command_that_a_text_names_exists(name: str) -> None:
    commands = set(get_group({"tandem": tandem, "localcloud": localcloud}[name]).commands)
    named = {
        (word, str(file.relative_to(ROOT)))
        for file in _texts()
        for program, word in NAMED.findall(file.read_text())
        if program == name
    }
    assert len(named) > 4
    commands.add("is")  # from prose such as "localcloud is ..."
    assert {(word, file) for word, file in named if word not in commands} == set()
