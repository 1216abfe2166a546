"""Which engine is chosen, and that a stack on localcloud leaves the checkout clean."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import yaml

from operations.engines import LocalcloudEngine, PulumiEngine, choose_engine, command_inside
from operations.errors import OperationError
from operations.workspace import PROJECT_ROOT, Workspace, find_workspace, set_aside_if_of_another_cloud


@pytest.fixture
def path_with_pulumi(tmp_path: Path) -> str:
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    return str(program.parent)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    program = tmp_path / "program"
    (program / "stacks").mkdir(parents=True)
    (program / "Pulumi.yaml").write_text("name: tandem\nruntime: python\nstackConfigDir: stacks\n")
    (program / "stacks" / "Pulumi.local.yaml").write_text("config:\n  tandem:region: ap-guangzhou\n")
    return Workspace(tmp_path / "state", program)


def test_a_stack_of_the_real_cloud_needs_pulumi_and_the_error_says_where_to_get_it() -> None:
    with pytest.raises(OperationError, match=r"stack prod needs the pulumi command.*\n.*Install it"):
        choose_engine("prod", {"PATH": "/nonexistent"})


def test_a_stack_of_the_real_cloud_uses_pulumi_as_it_is(path_with_pulumi: str) -> None:
    assert isinstance(choose_engine("prod", {"PATH": path_with_pulumi}), PulumiEngine)


def test_a_preview_shows_the_diff_and_makes_the_stack_on_localcloud_first(
    workspace: Workspace, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("config: {}\n")
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@" "$TANDEM_CONFIG_FILE" >> "$(dirname "$0")/asked"\necho shown\n')
    program.chmod(0o755)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{program.parent}:{before}"
    try:
        PulumiEngine("local", workspace, other).preview()
    finally:
        os.environ["PATH"] = before
    asked = [line.split("--non-interactive ")[1] for line in (program.parent / "asked").read_text().splitlines()]
    # The program's messages name the file that a person has to change.
    assert asked == [f"stack select --create local {other}", f"preview --stack local --diff {other}"]
    assert capfd.readouterr().out == "shown\n"


def test_without_pulumi_the_local_stack_runs_on_localclouds_engine() -> None:
    environment = {"PATH": "/nonexistent", "LOCALCLOUD_NAME": "no-such-cloud"}
    assert isinstance(choose_engine("local", environment), LocalcloudEngine)


def test_a_command_that_reaches_machines_of_localcloud_goes_on_inside_it() -> None:
    outside = {"LOCALCLOUD_NAME": "second"}
    command = command_inside("local", ["health", "--stack", "local"], outside)
    assert command is not None
    assert command[1:3] == ["exec", "--"]
    assert command[3].endswith("tandem")
    assert command[4:] == ["health", "--stack", "local"]
    assert command_inside("local", ["health"], {**outside, "LOCALCLOUD_ID": "x"}) is None
    assert command_inside("prod", ["health"], {}) is None


def test_a_program_that_cannot_be_started_is_named_without_a_traceback(workspace: Workspace, tmp_path: Path) -> None:
    engine = LocalcloudEngine("local", workspace)
    workspace.engine_state.mkdir(parents=True)
    (workspace.engine_state / "local.json").write_text("{}")
    python = tmp_path / "venv" / "python"
    python.parent.mkdir()
    python.with_name("localcloud").write_text("#!/bin/sh\n")  # not executable
    before, sys.executable = sys.executable, str(python)
    try:
        with pytest.raises(OperationError, match=r"localcloud cannot be run: Permission denied"):
            engine.outputs(show_secrets=False)
    finally:
        sys.executable = before


def test_each_localcloud_has_a_corner_of_its_own() -> None:
    first, second = find_workspace("local", {}), find_workspace("local", {"LOCALCLOUD_NAME": "second"})
    assert first == Workspace(PROJECT_ROOT / ".tandem" / "default", PROJECT_ROOT)
    assert second is not None
    assert second.directory == PROJECT_ROOT / ".tandem" / "second"
    assert find_workspace("prod", {}) is None


def test_the_copies_point_back_at_the_program_and_the_originals_stay_untouched(workspace: Workspace) -> None:
    before = {file: file.read_text() for file in workspace.program.rglob("*.yaml")}
    environment = workspace.prepare_for_pulumi("local")
    project = yaml.safe_load((workspace.project / "Pulumi.yaml").read_text())
    assert (workspace.project / project["main"]).resolve() == workspace.program
    assert environment["PULUMI_BACKEND_URL"].startswith("file://")
    assert workspace.passphrase_file.stat().st_mode & 0o777 == 0o600
    assert {file: file.read_text() for file in workspace.program.rglob("*.yaml")} == before


def test_a_second_preparation_keeps_passphrase_and_salt_and_takes_new_settings(workspace: Workspace) -> None:
    workspace.prepare_for_pulumi("local")
    copy = workspace.project / "stacks" / "Pulumi.local.yaml"
    copy.write_text(copy.read_text() + "encryptionsalt: v1:abc\n")
    passphrase = workspace.passphrase_file.read_text()
    (workspace.program / "stacks" / "Pulumi.local.yaml").write_text("config:\n  tandem:region: ap-shanghai\n")
    workspace.prepare_for_pulumi("local")
    assert yaml.safe_load(copy.read_text()) == {
        "config": {"tandem:region": "ap-shanghai"},
        "encryptionsalt": "v1:abc",
    }
    assert workspace.passphrase_file.read_text() == passphrase


def test_other_settings_may_stand_in_for_the_stacks_own(workspace: Workspace, tmp_path: Path) -> None:
    other = tmp_path / "seed.yaml"
    other.write_text("config:\n  tandem:keepalived: {profile: seed}\n")
    workspace.prepare_for_pulumi("local", other)
    copy = yaml.safe_load((workspace.project / "stacks" / "Pulumi.local.yaml").read_text())
    assert copy["config"] == {"tandem:keepalived": {"profile": "seed"}}


def test_the_state_of_a_cloud_that_is_gone_is_set_aside_not_used_and_not_lost(tmp_path: Path) -> None:
    directory = tmp_path / "default"
    set_aside_if_of_another_cloud(directory, "first")
    (directory / "state").write_text("machines of the first cloud")
    set_aside_if_of_another_cloud(directory, "first")
    assert (directory / "state").exists()
    set_aside_if_of_another_cloud(directory, "second")
    assert not (directory / "state").exists()
    assert (tmp_path / "default.gone" / "state").read_text() == "machines of the first cloud"
