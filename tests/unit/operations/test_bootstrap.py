"""scripts/bootstrap records an installation only if all of it has succeeded. Fakes replace pip and uv."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from operations.workspace import PROJECT_ROOT

_PYTHON = """#!/bin/bash
[ "$1" = -m ] || exit 0
echo "pip $*" >> calls
[ -z "${FAILS:-}" ] || [[ "$*" != *"$FAILS"* ]]
"""
_UV = """#!/bin/bash
echo "uv $*" >> calls
[ -z "${FAILS:-}" ] || [[ "$*" != *"$FAILS"* ]]
"""


@dataclass(frozen=True)
class Checkout:
    folder: Path

    def pin(self, text: str) -> None:
        (self.folder / "requirements/dev.txt").write_text(text)

    def install(self, fails: str = "") -> tuple[int, list[str]]:
        """Run the script. Returns its exit code and the calls of pip and uv; one that contains `fails` fails."""
        calls = self.folder / "calls"
        calls.write_text("")
        done = subprocess.run(
            [self.folder / "scripts/bootstrap", "dev"],
            env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "FAILS": fails},
            capture_output=True,
            check=False,
        )
        return done.returncode, calls.read_text().splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    for folder in ("scripts", "requirements", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / "scripts/bootstrap", tmp_path / "scripts")
    (tmp_path / "pyproject.toml").touch()
    for name, text in {"python": _PYTHON, "uv": _UV}.items():
        (tmp_path / ".venv/bin" / name).write_text(text)
        (tmp_path / ".venv/bin" / name).chmod(0o755)
    made = Checkout(tmp_path)
    made.pin("one==1\n")
    return made


def test_a_second_run_installs_nothing(checkout: Checkout) -> None:
    code, calls = checkout.install()
    assert (code, len(calls)) == (0, 3)
    assert checkout.install() == (0, [])


@pytest.mark.parametrize("step", ["requirements/uv.txt", "requirements/dev.txt", "--editable"])
def test_a_failed_installation_is_repeated(checkout: Checkout, step: str) -> None:
    for _ in range(2):
        code, calls = checkout.install(fails=step)
        assert code != 0
        assert step in calls[-1]
    assert checkout.install()[0] == 0


@pytest.mark.parametrize("step", ["requirements/dev.txt", "--editable"])
def test_a_failed_installation_is_no_longer_the_previous_one(checkout: Checkout, step: str) -> None:
    """It may have replaced some packages: with the previous pins again, there is something to do."""
    checkout.install()
    checkout.pin("one==2\n")
    assert checkout.install(fails=step)[0] != 0
    checkout.pin("one==1\n")
    code, calls = checkout.install()
    assert (code, len(calls)) == (0, 3)
