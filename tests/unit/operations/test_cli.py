"""Which pulumi command runs, and that its version and the SDK's go together."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from operations.cli import OLDEST, find_cli, read_version
from operations.errors import OperationError
from operations.workspace import PROJECT_ROOT

PINNED = re.search(r"pkg/v3 v(\S+)", (PROJECT_ROOT / "tools" / "pulumi" / "go.mod").read_text())


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def make_pulumi(folder: Path, says: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "pulumi"
    command.write_text(f"#!/bin/sh\necho {says}\n")
    command.chmod(0o755)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    assert PINNED
    return make_pulumi(tmp_path / "cache" / "tandem" / "pulumi" / f"v{PINNED[1]}", f"v{PINNED[1]}")


def environment(tmp_path: Path, path: Path | str) -> dict[str, str]:
    return {"PATH": str(path), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_a_pulumi_on_the_path_is_used_before_the_one_that_was_built(tmp_path: Path, cache: Path) -> None:
    assert cache.exists()
    installed = make_pulumi(tmp_path / "bin", "v3.280.0")
    assert find_cli(environment(tmp_path, f"{installed}:/bin")) == installed


@pytest.mark.parametrize("says", ["v3.100.0", "nonsense"])
def test_a_pulumi_that_is_too_old_or_broken_is_not_used(tmp_path: Path, cache: Path, says: str) -> None:
    installed = make_pulumi(tmp_path / "bin", says)
    assert find_cli(environment(tmp_path, f"{installed}:/bin")) == cache


def test_without_any_pulumi_the_error_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"pulumi command.*none on the PATH.\n.*Install it.*scripts/pulumi"):
        find_cli(environment(tmp_path, "/nonexistent"))


def test_a_prerelease_is_read_by_its_numbers(tmp_path: Path) -> None:
    assert read_version(str(make_pulumi(tmp_path, "v3.280.1-alpha.2+dirty") / "pulumi")) == (3, 280, 1)


def test_command_and_sdk_are_pinned_together() -> None:
    assert PINNED
    sdk = numbers(version("pulumi"))
    assert OLDEST <= sdk <= numbers(PINNED[1])
    script = (PROJECT_ROOT / "scripts" / "pulumi").read_text()
    assert f"OLDEST={'.'.join(map(str, OLDEST))} " in script
    assert f'"pulumi>={OLDEST[0]}.{OLDEST[1]},<={PINNED[1]}"' in (PROJECT_ROOT / "pyproject.toml").read_text()
