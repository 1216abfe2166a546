"""The choice of the pulumi command, and the compatibility of its version with the SDK."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from pulumi.automation import CommandResult
from pulumi.automation.errors import CommandError

from operations.cli import OLDEST, OutputShown, TerminalCommand, find_cli, read_version
from operations.cli_errors import describe, describe_missing_stack
from operations.errors import OperationError
from operations.workspace import PROJECT_ROOT

PINNED = re.search(r"pkg/v3 v(\S+)", (PROJECT_ROOT / "tools" / "pulumi" / "go.mod").read_text())


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def make_pulumi(folder: Path, output: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "pulumi"
    command.write_text(f"#!/bin/sh\necho {output}\n")
    command.chmod(0o755)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    assert PINNED
    return make_pulumi(tmp_path / "cache" / "tandem" / "pulumi" / f"v{PINNED[1]}", f"v{PINNED[1]}")


def environment(tmp_path: Path, path: Path | str) -> dict[str, str]:
    return {"PATH": str(path), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_a_pulumi_on_the_path_is_preferred_to_the_built_one(tmp_path: Path, cache: Path) -> None:
    assert cache.exists()
    installed = make_pulumi(tmp_path / "bin", "v3.280.0")
    assert find_cli(environment(tmp_path, f"{installed}:/bin")) == installed


@pytest.mark.parametrize("output", ["v3.100.0", "nonsense"])
def test_a_pulumi_that_is_too_old_or_broken_is_not_used(tmp_path: Path, cache: Path, output: str) -> None:
    installed = make_pulumi(tmp_path / "bin", output)
    assert find_cli(environment(tmp_path, f"{installed}:/bin")) == cache


def test_the_error_without_a_pulumi_command_explains_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"pulumi command.*none on the PATH.\n.*Install it.*scripts/pulumi"):
        find_cli(environment(tmp_path, "/nonexistent"))


def test_the_version_of_a_prerelease_can_be_read(tmp_path: Path) -> None:
    assert read_version(str(make_pulumi(tmp_path, "v3.280.1-alpha.2+dirty") / "pulumi")) == (3, 280, 1)


def test_the_versions_of_command_and_sdk_are_compatible() -> None:
    assert PINNED
    sdk = numbers(version("pulumi"))
    assert OLDEST <= sdk <= numbers(PINNED[1])
    script = (PROJECT_ROOT / "scripts" / "pulumi").read_text()
    assert f"OLDEST={'.'.join(map(str, OLDEST))} " in script
    assert f'"pulumi>={OLDEST[0]}.{OLDEST[1]},<={PINNED[1]}"' in (PROJECT_ROOT / "pyproject.toml").read_text()


def test_the_events_of_a_preview_are_read_although_the_sdk_names_another_log(tmp_path: Path) -> None:
    """pulumi.automation passes the address of its own server as the event log of a preview."""
    command = tmp_path / "pulumi"
    command.write_text("""#!/bin/sh
[ "$1" = version ] && { echo v3.280.0; exit; }
while [ "$1" != --event-log ]; do shift; done
echo '{"sequence": 1}' >"$2"
echo shown
""")
    command.chmod(0o755)
    events: list[str] = []
    with pytest.raises(OutputShown):
        TerminalCommand(tmp_path, ask=False, events=events).run(
            ["preview", "--event-log", "tcp://127.0.0.1:1", "--diff"], str(tmp_path), {"PATH": "/usr/bin:/bin"}
        )
    assert events == ['{"sequence": 1}\n']


@pytest.mark.parametrize(
    ("stderr", "first", "advice"),
    [
        ("error: getting secrets manager: incorrect passphrase", "getting secrets", "with another passphrase"),
        ("error: passphrase must be set with PULUMI_CONFIG_PASSPHRASE", "passphrase must", "passphrase of this stack"),
        ("error: PULUMI_ACCESS_TOKEN must be set for login", "PULUMI_ACCESS", "pulumi login"),
        ('error: unable to open state directory "file:///x"', "unable to open", "State in a bucket"),
        ('error: read ".pulumi/meta.yaml": blob (key "x") (code=Unknown): EOF', 'read ".pulumi', "keys and network"),
    ],
)
def test_an_error_of_pulumi_says_what_to_do(stderr: str, first: str, advice: str) -> None:
    text = describe(CommandError(CommandResult(stdout="ignored", stderr=stderr, code=255)))
    assert text.startswith(first)
    assert advice in text.splitlines()[-1]


def test_a_misspelled_stack_is_distinguished_from_one_that_does_not_exist_yet(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.prod.yaml").touch()
    (tmp_path / "Pulumi.staging.yaml").touch()
    assert describe_missing_stack("company/prod", tmp_path, "pulumi").endswith(
        "create it: pulumi stack init company/prod"
    )
    wrong = describe_missing_stack("prd", tmp_path, "pulumi")
    assert "no file stacks/Pulumi.prd.yaml\n  stacks with a file: prod, staging" in wrong
