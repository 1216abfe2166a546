"""Where a stack on localcloud lives, and that it leaves the checkout clean."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from operations.localcloud import command_inside
from operations.main import find_stack
from operations.plugins import OWN_PLUGINS, find_plugins
from operations.workspace import PROJECT_ROOT, Workspace, find_workspace, set_aside_if_of_another_cloud


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    program = tmp_path / "program"
    (program / "stacks").mkdir(parents=True)
    (program / "Pulumi.yaml").write_text("name: tandem\nruntime: python\nstackConfigDir: stacks\n")
    (program / "stacks" / "Pulumi.local.yaml").write_text("config:\n  tandem:region: ap-guangzhou\n")
    return Workspace(tmp_path / "state", program)


def test_a_command_that_reaches_machines_of_localcloud_goes_on_inside_it() -> None:
    outside = {"LOCALCLOUD_NAME": "second"}
    command = command_inside("local", ["health", "--stack", "local"], outside)
    assert command is not None
    assert command[1:3] == ["exec", "--"]
    assert command[3].endswith("tandem")
    assert command[4:] == ["health", "--stack", "local"]
    assert command_inside("local", ["health"], {**outside, "LOCALCLOUD_ID": "x"}) is None
    assert command_inside("prod", ["health"], {}) is None


@pytest.mark.parametrize(
    ("words", "stack"),
    [
        (["up"], "local"),
        (["up", "--stack", "prod"], "prod"),
        (["up", "--stack=prod"], "prod"),
        (["up", "-sprod"], "prod"),
    ],
)
def test_the_stack_is_read_from_the_words_before_anything_slow_is_imported(words: list[str], stack: str) -> None:
    assert find_stack([*words, "--target", "urn"]) == stack


def test_plugins_are_those_of_localcloud_and_the_one_that_the_official_installation_has(tmp_path: Path) -> None:
    places = [tmp_path / "tls", tmp_path / "random"]
    for place in places:
        make_executable(place / f"pulumi-resource-{place.name}")
    environment = {"LOCALCLOUD_PLUGINS": ":".join(map(str, places))}
    found = find_plugins("/nonexistent/pulumi", environment)
    assert found == {"tls": places[0], "random": places[1], "pulumi-python": OWN_PLUGINS}
    make_executable(tmp_path / "official" / "pulumi-resource-pulumi-python")
    assert find_plugins(str(tmp_path / "official" / "pulumi"), {}) == {}


def make_executable(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)


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


def test_plugins_that_are_not_installed_are_named_in_the_copy(workspace: Workspace, tmp_path: Path) -> None:
    workspace.prepare_for_pulumi("local", plugins={"tls": tmp_path})
    project = yaml.safe_load((workspace.project / "Pulumi.yaml").read_text())
    assert project["plugins"] == {"providers": [{"name": "tls", "path": str(tmp_path)}]}


def test_settings_with_encrypted_values_keep_the_salt_that_they_were_encrypted_with(workspace: Workspace) -> None:
    copy = workspace.project / "stacks" / "Pulumi.local.yaml"
    workspace.prepare_for_pulumi("local")
    copy.write_text(copy.read_text() + "encryptionsalt: v1:copy\n")
    original = workspace.program / "stacks" / "Pulumi.local.yaml"
    original.write_text("encryptionsalt: v1:own\n" + original.read_text())
    workspace.prepare_for_pulumi("local")
    assert yaml.safe_load(copy.read_text())["encryptionsalt"] == "v1:own"


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
