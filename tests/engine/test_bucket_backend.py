"""The state in a bucket, as docs/team.md describes it: two operators, the passphrase's change, export and restore."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from operations.cli import find_cli
from tests.engine.project import kill_all
from tests.engine.s3_server import BUCKET, s3_server
from tests.engine.small_project import SmallProject

pytestmark = pytest.mark.timeout(600)
PROGRAM = 'Item("a", value="one"); pulumi.export("word", pulumi.Output.secret("hidden-word"))'


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


def operator(folder: Path, server: str, stack: str) -> SmallProject:
    """A checkout of one operator. All share the items that the program creates."""
    project = SmallProject.copy(folder)
    project.stack = stack
    project.environment = {
        # On COS: s3://BUCKET-APPID?endpoint=https://cos.REGION.myqcloud.com&region=REGION
        "PULUMI_BACKEND_URL": f"s3://{BUCKET}?endpoint=http://{server}&region=ap-guangzhou&s3ForcePathStyle=true",
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "PULUMI_CONFIG_PASSPHRASE": "of the team", "PULUMI_SKIP_UPDATE_CHECK": "true",
    }  # fmt: skip
    project.write(PROGRAM)
    return project


def pulumi(project: SmallProject, *arguments: str, text: str = "") -> str:
    command = [str(find_cli(os.environ) / "pulumi"), *arguments, "--non-interactive"]
    environment = {**os.environ, **project.environment}
    return subprocess.run(
        command, cwd=project.folder, env=environment, input=text, text=True, capture_output=True, check=True
    ).stdout


def change_program(project: SmallProject, program: str) -> None:
    """Write another program, and keep the salt in the stack's file."""
    file = project.folder / "stacks" / f"Pulumi.{project.stack}.yaml"
    settings = file.read_text()
    project.write(program)
    file.write_text(settings)


def share_settings(source: SmallProject, target: SmallProject) -> None:
    """`stack init` writes the salt into the stack's file, which the operators share in git."""
    name = f"Pulumi.{source.stack}.yaml"
    (target.folder / "stacks" / name).write_text((source.folder / "stacks" / name).read_text())


def test_a_second_operator_continues_with_the_state_in_the_bucket(server: str, tmp_path: Path) -> None:
    ann, ben = (operator(tmp_path / name, server, "team") for name in ("ann", "ben"))
    pulumi(ann, "stack", "init", "team")
    share_settings(ann, ben)
    assert "2 created" in ann.succeed("up", "--yes")
    assert ben.succeed("outputs", "word", "--show-secrets") == "hidden-word\n"
    assert ben.succeed("outputs", "word") != "hidden-word\n"
    assert "hidden-word" not in httpx.get(f"http://{server}/{BUCKET}/.pulumi/stacks/tandem/team.json", timeout=10).text


def test_the_lock_of_a_killed_run_is_named_and_can_be_cancelled(server: str, tmp_path: Path) -> None:
    ann = operator(tmp_path / "ann", server, "locked")
    pulumi(ann, "stack", "init", "locked")
    change_program(ann, 'Item("a", sleep_s=60)')
    process = ann.start("up", "--yes")
    ann.wait_for_call("begin", "create", "a")
    kill_all(process)
    assert "the stack is currently locked by 1 lock(s)" in ann.fail("up", "--yes")
    ann.succeed("cancel")
    change_program(ann, PROGRAM)
    assert "created" in ann.succeed("up", "--yes")


def test_the_passphrase_is_changed_when_a_member_leaves(server: str, tmp_path: Path) -> None:
    ann = operator(tmp_path / "ann", server, "handover")
    pulumi(ann, "stack", "init", "handover")
    ann.succeed("up", "--yes")
    pulumi(ann, "stack", "change-secrets-provider", "passphrase", "--stack", "handover", text="new one\n")
    assert "another passphrase" in ann.fail("outputs", "--show-secrets")
    ann.environment["PULUMI_CONFIG_PASSPHRASE"] = "new one"
    assert ann.succeed("outputs", "word", "--show-secrets") == "hidden-word\n"
    assert "unchanged" in ann.succeed("up", "--yes")


def test_a_deleted_state_is_restored_from_an_export(server: str, tmp_path: Path) -> None:
    ann = operator(tmp_path / "ann", server, "restored")
    pulumi(ann, "stack", "init", "restored")
    ann.succeed("up", "--yes")
    export = pulumi(ann, "stack", "export", "--stack", "restored")
    assert "hidden-word" not in export
    pulumi(ann, "stack", "rm", "restored", "--force", "--yes", "--preserve-config")
    assert "there is no stack restored" in ann.fail("outputs")
    pulumi(ann, "stack", "init", "restored")
    pulumi(ann, "stack", "import", "--stack", "restored", text=export)
    assert ann.succeed("outputs", "word", "--show-secrets") == "hidden-word\n"
    assert "unchanged" in ann.succeed("up", "--yes")
    assert len(json.loads(export)["deployment"]["resources"]) >= 2
