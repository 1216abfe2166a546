"""Rules for the content of all committed files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Package sources are configured on each host: a build behind a mirror uses other host names.
REGISTRIES = re.compile(
    rb"pypi\.(org|python)|pythonhosted\.org|registry\.npmjs|proxy\.golang|crates\.io|(deb|snapshot|ftp)\.debian\.org"
    rb"|archive\.ubuntu\.com|mirrors?\.[a-z0-9.-]+\.(com|cn|org|net)|\s--(extra-)?index-url[ =]|\s--find-links[ =]"
)


def test_no_file_names_a_registry_or_mirror() -> None:
    # `git ls-files` would not work in a copy of the project without its history.
    files = [
        file
        for file in ROOT.rglob("*")
        if not any(
            part.startswith((".venv", ".git", ".tandem", "__pycache__")) or part.endswith("cache")
            for part in file.relative_to(ROOT).parts
        )
    ]
    assert len(files) > 400
    found = {
        f"{file.relative_to(ROOT)}: {match.group().decode()}"
        for file in files
        if file.is_file() and file != Path(__file__).resolve()
        for match in REGISTRIES.finditer(_read(file))
    }
    assert found == set()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # a temporary file of a test that runs at the same time
        return b""


def test_every_suppressed_check_gives_a_reason() -> None:
    silenced = re.compile(
        r"(?:noqa: [A-Z0-9, ]*[0-9]|(?:type|pyright): ignore(?:\[[A-Za-z, -]+\])?)(.*)$", re.MULTILINE
    )
    places = [
        (f"{file.relative_to(ROOT)}: {match.group()}", match.group(1))
        for file in ROOT.rglob("*.py")
        if ".venv" not in file.parts and file != Path(__file__).resolve()
        for match in silenced.finditer(file.read_text())
    ]
    assert len(places) > 50
    assert [place for place, why in places if not re.search(r"\w{3}", why)] == []
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    rules = {rule for given in (ruff["ignore"], *ruff["per-file-ignores"].values()) for rule in given}
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    bare = {rule for line in lines if " # " not in line for rule in re.findall(r'"([A-Z]+[0-9]*)"', line)}
    assert bare & rules == set()


def test_every_locked_package_has_hashes() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        locked = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", file.read_text(), re.MULTILINE | re.DOTALL)
        assert locked
        assert [each.split()[0] for each in locked if "--hash=sha256:" not in each] == [], file.name


def test_only_one_module_unpacks_archives() -> None:
    """Python 3.11.2 of Debian 12 has no `extractall(filter=...)`; provisioning/agent/kinds/archive.py replaces it."""
    callers = {
        str(file.relative_to(ROOT))
        for file in ROOT.rglob("*.py")
        if not any(part.startswith(".") for part in file.relative_to(ROOT).parts)
        if file != Path(__file__).resolve() and re.search(r"\b(?:extractall|unpack_archive)\(", file.read_text())
    }
    assert callers == {"provisioning/agent/kinds/archive.py"}
