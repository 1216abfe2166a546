"""scripts/check_words.py finds unwanted phrases in each kind of text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "check_words.py"
PHRASE = "whoever"  # one of the phrases that the script counts


def check(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, "--list", file], text=True, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        pytest.param("page.md", f"Ask {PHRASE} knows.\n", "docs", id="a page"),
        pytest.param("site.conf.j2", f"# For {PHRASE} asks.\n", "templates", id="a template"),
        pytest.param("stack.yaml", f"# For {PHRASE} asks.\n", "YAML and TOML", id="a YAML comment"),
        pytest.param("run.sh", f"#!/bin/sh\n# For {PHRASE} asks.\n", "scripts", id="a script"),
        pytest.param("a.py", f'"""For {PHRASE} asks."""\n', "comments and docstrings", id="a docstring"),
        pytest.param("b.py", f"x = 1  # for {PHRASE} asks\n", "comments and docstrings", id="a comment"),
        pytest.param("c.py", f'raise ValueError("for {PHRASE} asks")\n', "messages and other strings", id="a message"),
        pytest.param("test_d.py", f"def test_{PHRASE}_asks() -> None: ...\n", "test names", id="a test name"),
    ],
)  # fmt: skip
def test_a_phrase_is_found_in_each_kind_of_text(tmp_path: Path, name: str, text: str, kind: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    result = check(file)
    assert result.returncode == 1
    assert f"{file}:" in result.stdout
    assert f"{kind}: " in result.stdout


def test_plain_text_passes(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("The backup takes over when the master fails.\n")
    assert check(file).returncode == 0
