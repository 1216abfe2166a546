"""The workspace of a stack on localcloud, which leaves the checkout unchanged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from operations.errors import OperationError
from operations.files import write_file
from operations.localcloud import command_inside
from operations.main import find_stack
from operations.plugins import OWN_PLUGINS, find_plugins
from operations.workspace import PROJECT_ROOT, Workspace, find_workspace, move_away_state_of_another_cloud


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    program = tmp_path / "program"
    (program / "stacks").mkdir(parents=True)
    (program / "Pulumi.yaml").write_text("name: tandem\nruntime: python\nstackConfigDir: stacks\n")
    (program / "stacks" / "Pulumi.local.yaml").write_text("config:\n  tandem:region: ap-guangzhou\n")
    return Workspace(tmp_path / "state", program)


def test_a_command_for_a_stack_on_localcloud_runs_inside_it() -> None:
    outside = {"LOCALCLOUD_NAME": "second"}
    command = command_inside("local", ["health", "--stack", "local"], outside)
    assert command is not None
    assert command[1:3] == ["exec", "--"]
    assert command[3].endswith("tandem")
    assert command[4:] == ["health", "--stack", "local"]
    assert command_inside("local", ["health"], {**outside, "LOCALCLOUD_ID": "x"}) is None
    assert command_inside("prod", ["health"], {}) is None


def test_every_command_uses_the_settings_file_that_the_environment_names(workspace: Workspace, tmp_path: Path) -> None:
    given = tmp_path / "web.yaml"
    given.write_text("config:\n  tandem:region: ap-shanghai\n")
    found = find_workspace("local", {"LOCALCLOUD_NAME": "web", "TANDEM_CONFIG_FILE": str(given)})
    assert found is not None
    replace(workspace, config_file=found.config_file).prepare_for_pulumi("local")
    written = yaml.safe_load((workspace.project / "stacks" / "Pulumi.local.yaml").read_text())
    assert written["config"]["tandem:region"] == "ap-shanghai"
    assert find_workspace("prod", {"TANDEM_CONFIG_FILE": str(given)}) is None


@pytest.mark.parametrize(
    ("arguments", "stack"),
    [
        (["up"], "local"),
        (["up", "--stack", "prod"], "prod"),
        (["up", "--stack=prod"], "prod"),
        (["up", "-sprod"], "prod"),
    ],
)
def test_the_stack_is_read_from_the_command_line(arguments: list[str], stack: str) -> None:
    assert find_stack([*arguments, "--target", "urn"]) == stack


def test_plugins_come_from_localcloud_unless_the_official_installation_has_them(tmp_path: Path) -> None:
    folders = [tmp_path / "tls", tmp_path / "random"]
    for folder in folders:
        make_executable(folder / f"pulumi-resource-{folder.name}")
    environment = {"LOCALCLOUD_PLUGINS": ":".join(map(str, folders))}
    found = find_plugins("/nonexistent/pulumi", environment)
    assert found == {"tls": folders[0], "random": folders[1], "pulumi-python": OWN_PLUGINS}
    make_executable(tmp_path / "official" / "pulumi-resource-pulumi-python")
    assert find_plugins(str(tmp_path / "official" / "pulumi"), {}) == {}


def make_executable(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)


def test_each_localcloud_has_its_own_workspace() -> None:
    first, second = find_workspace("local", {}), find_workspace("local", {"LOCALCLOUD_NAME": "second"})
    assert first == Workspace(PROJECT_ROOT / ".tandem" / "default", PROJECT_ROOT)
    assert second is not None
    assert second.directory == PROJECT_ROOT / ".tandem" / "second"
    assert find_workspace("prod", {}) is None


def test_the_copies_refer_to_the_program_and_the_originals_are_not_changed(workspace: Workspace) -> None:
    before = {file: file.read_text() for file in workspace.program.rglob("*.yaml")}
    environment = workspace.prepare_for_pulumi("local")
    project = yaml.safe_load((workspace.project / "Pulumi.yaml").read_text())
    assert (workspace.project / project["main"]).resolve() == workspace.program
    assert environment["PULUMI_BACKEND_URL"].startswith("file://")
    assert workspace.passphrase_file.stat().st_mode & 0o777 == 0o600
    assert {file: file.read_text() for file in workspace.program.rglob("*.yaml")} == before


def test_a_second_preparation_keeps_passphrase_and_salt_and_copies_new_settings(workspace: Workspace) -> None:
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


def test_a_killed_preparation_leaves_the_salt(workspace: Workspace, tmp_path: Path) -> None:
    workspace.prepare_for_pulumi("local")
    copy, before = workspace.project / "stacks" / "Pulumi.local.yaml", tmp_path / "before"
    copy.write_text(copy.read_text() + "encryptionsalt: v1:abc\n")
    before.hardlink_to(copy)
    workspace.prepare_for_pulumi("local", config_file=_settings(tmp_path, "config: {tandem:region: ap-shanghai}\n"))
    assert "ap-shanghai" in copy.read_text()
    assert "ap-guangzhou" in before.read_text(), "the new copy is another file"


def _settings(folder: Path, text: str) -> Path:
    file = folder / "other.yaml"
    file.write_text(text)
    return file


def test_the_id_of_a_cloud_is_replaced_in_one_step(tmp_path: Path) -> None:
    """Half of it would move the state away."""
    directory, before = tmp_path / "default", tmp_path / "before"
    move_away_state_of_another_cloud(directory, "one")
    before.hardlink_to(directory / "cloud-id")
    move_away_state_of_another_cloud(directory, "one")
    assert not before.samefile(directory / "cloud-id")


def test_a_file_can_be_written_to_a_device() -> None:
    write_file(Path("/dev/null"), "{}")
    assert Path("/dev/null").is_char_device()


def test_plugins_that_are_not_installed_are_listed_in_the_copy(workspace: Workspace, tmp_path: Path) -> None:
    workspace.prepare_for_pulumi("local", plugins={"tls": tmp_path})
    project = yaml.safe_load((workspace.project / "Pulumi.yaml").read_text())
    assert project["plugins"] == {"providers": [{"name": "tls", "path": str(tmp_path)}]}


@pytest.mark.parametrize(
    ("config", "salt"),
    [
        pytest.param("{tandem:token: {secure: v1:abc}}", "v1:own", id="encrypted settings keep their salt"),
        pytest.param("{tandem:region: ap-shanghai}", "v1:copy", id="a salt that no setting needs is ignored"),
    ],
)
def test_the_salt_of_the_settings_file_is_used_for_encrypted_settings(
    workspace: Workspace, config: str, salt: str
) -> None:
    copy = workspace.project / "stacks" / "Pulumi.local.yaml"
    workspace.prepare_for_pulumi("local")
    copy.write_text(copy.read_text() + "encryptionsalt: v1:copy\n")
    original = workspace.program / "stacks" / "Pulumi.local.yaml"
    original.write_text(f"encryptionsalt: v1:own\nconfig: {config}\n")
    workspace.prepare_for_pulumi("local")
    assert yaml.safe_load(copy.read_text())["encryptionsalt"] == salt


def test_a_settings_file_can_replace_that_of_the_stack(workspace: Workspace, tmp_path: Path) -> None:
    other = tmp_path / "seed.yaml"
    other.write_text("config:\n  tandem:keepalived: {profile: seed}\n")
    workspace.prepare_for_pulumi("local", other)
    copy = yaml.safe_load((workspace.project / "stacks" / "Pulumi.local.yaml").read_text())
    assert copy["config"] == {"tandem:keepalived": {"profile": "seed"}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "No such file"),
        ("config: [", "while parsing"),
        ("config:\n  a: 1\n  a: 2\n", "the key a is given more than once"),
    ],
)
def test_a_settings_file_that_cannot_be_read_is_an_error(
    workspace: Workspace, tmp_path: Path, text: str | None, problem: str
) -> None:
    given = tmp_path / "web.yaml"
    if text is not None:
        given.write_text(text)
    with pytest.raises(OperationError, match=f"web.yaml cannot be read: .*{problem}"):
        workspace.prepare_for_pulumi("local", given)


def test_the_state_of_a_deleted_localcloud_is_moved_away(tmp_path: Path) -> None:
    directory = tmp_path / "default"
    move_away_state_of_another_cloud(directory, "first")
    (directory / "state").write_text("state of the first cloud")
    move_away_state_of_another_cloud(directory, "first")
    assert (directory / "state").exists()
    move_away_state_of_another_cloud(directory, "second")
    assert not (directory / "state").exists()
    assert (tmp_path / "default.old" / "state").read_text() == "state of the first cloud"
