"""docs/cam-policy.json allows what a deployment calls; a forbidden action gives an error that names it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.full_project import FullProject, full_project, nothing_to_do
from tests.engine.project import ROOT

pytestmark = pytest.mark.timeout(3000)
_PREFIX = {"cbs": "cvm"}  # in CAM
# Two creates, a read, and one that a provider calls after a create, each with the resource types that call it.
SAMPLE = {
    "vpc:CreateHaVip": r"Ha:Vip",
    "cvm:RunInstances": r"Instance:Instance",
    "vpc:DescribeSecurityGroupPolicies": r"Security:GroupRuleSet",
    "tag:ModifyResourceTags": r"\S+",
}


def allowed() -> set[str]:
    (statement,) = json.loads((ROOT / "docs" / "cam-policy.json").read_text())["statement"]
    return set(statement["action"])


def in_cam(action: str) -> str:
    service, _, name = action.partition(":")
    return f"{_PREFIX.get(service, service)}:{name}"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[FullProject]:
    with full_project(tmp_path) as project:
        yield project


def test_the_policy_is_the_generated_one() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "cam-policy")]
    assert (
        subprocess.run(command, text=True, capture_output=True, check=True).stdout
        == (ROOT / "docs" / "cam-policy.json").read_text()
    )


def test_a_deployment_from_its_creation_to_its_removal_calls_only_allowed_actions(project: FullProject) -> None:
    project.succeed("up")
    project.succeed("up", changes={"nodes.type": "S5.LARGE8", "virtualIp.bandwidthMbps": 20, "network.egress": "nat"})
    assert nothing_to_do(project.succeed("up", changes={"nodes.type": "S5.LARGE8", "virtualIp.bandwidthMbps": 20, "network.egress": "nat"}))  # fmt: skip  # noqa: E501 - one call
    project.succeed("destroy")
    called = {in_cam(action) for action in project.cloud.requests()}
    assert len(called) > 30
    assert called - allowed() == set()


def refuse(project: FullProject, action: str, type_: str = r"\S+") -> bool:
    """Forbid one action, deploy, and allow it again. Returns whether the deployment needed it."""
    project.cloud.fault(action, code="UnauthorizedOperation", message="You are not authorized to perform it.", times=0)
    run = project.run("up")
    project.cloud.clear_faults()
    if run.code:
        heading = rf"^  tencentcloud:{type_} \((\S+)\):\n(?:    .*\n)*?    .*UnauthorizedOperation"
        resource = re.search(heading, run.output, re.MULTILINE)
        assert resource, run.output[-3000:]
        # The real plugin does not name the action (docs/providers.md, "Known differences").
        real = shutil.which("pulumi-resource-tencentcloud")
        name = action.partition(":")[2]
        error = "Code=UnauthorizedOperation, Message=" if real else rf"{name}: \[UnauthorizedOperation\] "
        # The message at the end names the resource too. Some errors have a line of their own above them.
        last = rf"^  {re.escape(resource[1])}: (?:.*\n\s+)?.*{error}You are not authorized"
        assert re.search(last, run.output, re.MULTILINE), run.output[-3000:]
        assert "Traceback" not in run.output
        project.succeed("up")
    return run.code != 0


@pytest.mark.parametrize(("action", "type_"), SAMPLE.items(), ids=SAMPLE)
def test_a_forbidden_action_is_named_and_the_next_run_continues(project: FullProject, action: str, type_: str) -> None:
    assert refuse(project, action, type_)
    assert nothing_to_do(project.succeed("up"))


@pytest.mark.long
def test_each_forbidden_action_is_named(tmp_path: Path) -> None:
    with full_project(tmp_path / "whole") as project:
        project.succeed("up")
        called = sorted(set(project.cloud.requests()))
    needed: list[str] = []
    for number, action in enumerate(called):
        with full_project(tmp_path / str(number)) as project:
            needed += [action] if refuse(project, action) else []
    # Providers do without the answers to a few reads.
    assert {action for action in called if ":Describe" not in action} <= set(needed)
