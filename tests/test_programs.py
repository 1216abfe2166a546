"""tests/programs.py lists every program that tests start, and the scripts install each of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.host_tools import TOOLS
from tests.programs import ESSENTIAL, INSTALLED, find_undeclared

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("words", "undeclared"),
    [
        pytest.param(["nft", "list", "tables"], set[str](), id="a host tool of localcloud"),
        pytest.param(["curl", "http://127.0.0.1"], set[str](), id="installed by scripts/test"),
        pytest.param(["sh", "-c", "true"], set[str](), id="on every Debian system"),
        pytest.param([sys.executable, "-c", ""], set[str](), id="the interpreter of the tests"),
        pytest.param(["/tmp/release/bin/iam-apiserver"], set[str](), id="built by the test"),
        pytest.param(["no-such-program"], set[str](), id="not on this host"),
        pytest.param(["perl", "-e", "1"], {"perl"}, id="installed by chance"),
        pytest.param(["/usr/bin/perl", "-e", "1"], {"/usr/bin/perl"}, id="installed by chance, by its path"),
        pytest.param(["localcloud", "exec", "--", "perl"], {"perl"}, id="localcloud runs it on this host"),
        pytest.param(["localcloud", "ssh", "iam-a", "--", "perl"], set[str](), id="localcloud runs it on a node"),
    ],
)
def test_a_program_that_no_script_installs_is_reported(words: list[str], undeclared: set[str]) -> None:
    assert find_undeclared(words) == undeclared


def test_the_audit_hook_collects_the_undeclared_programs_that_a_process_starts() -> None:
    script = """
import subprocess, sys
from tests.programs import StartedPrograms
started = StartedPrograms()
sys.addaudithook(started)
subprocess.run([sys.executable, "-c", ""], check=True)
print(started.take_undeclared())
subprocess.run(["perl", "-e", "1"], check=True)
print(started.take_undeclared(), started.take_undeclared())
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n{'perl'} set()\n"


@pytest.mark.root
@pytest.mark.parametrize(("program", "package"), sorted({**INSTALLED, **TOOLS}.items()))
def test_a_declared_package_contains_its_program(program: str, package: str) -> None:
    files = _dpkg("--listfiles", package).splitlines()
    assert {f"/usr/bin/{program}", f"/usr/sbin/{program}", f"/bin/{program}", f"/sbin/{program}"} & set(files)


@pytest.mark.root
@pytest.mark.parametrize("program", sorted(ESSENTIAL - {"apt-get"}))  # which has installed this system
def test_every_essential_program_is_part_of_every_debian_system(program: str) -> None:
    owners = {
        line.partition(":")[0]
        for line in _dpkg("--search", f"*bin/{program}").splitlines()
        if line.endswith(f"bin/{program}") and not line.startswith("diversion")
    }
    kinds = _dpkg("--show", "--showformat=${Essential} ${Priority}\n", *owners).splitlines()
    assert any(kind.startswith("yes ") or kind.endswith(" required") for kind in kinds), owners


def test_the_declared_programs_are_installed_before_the_tests() -> None:
    script = (ROOT / "scripts/test").read_text()
    run = script.index("python -m pytest")
    assert script.index("localcloud doctor --install") < run
    assert script.index("scripts/host-tools $(python -m tests.programs)") < run


def _dpkg(*arguments: str) -> str:
    return subprocess.run(["dpkg-query", *arguments], capture_output=True, text=True, check=True).stdout
