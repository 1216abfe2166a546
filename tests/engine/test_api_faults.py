"""Deployments with an API that throttles, fails or stalls converge, or stop with instructions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.full_project import FullProject, full_project, nothing_to_do

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[FullProject]:
    with full_project(tmp_path) as project:
        yield project


def test_a_first_up_succeeds_with_a_throttled_api(project: FullProject) -> None:
    project.cloud.fault("*", code="RequestLimitExceeded", times=0, probability=0.3)
    project.succeed("up")
    project.cloud.clear_faults()
    assert nothing_to_do(project.succeed("up"))


def test_a_refused_request_stops_the_run_with_resource_and_code_and_the_next_run_continues(
    project: FullProject,
) -> None:
    project.cloud.fault("vpc:CreateSubnet", code="LimitExceeded", message="10 subnets are the limit", times=1)
    output = project.fail("up")
    diagnostics = output[output.index("Diagnostics:") :]
    assert "tencentcloud:Subnet:Instance (network-subnet):" in diagnostics
    assert "CreateSubnet: [LimitExceeded] 10 subnets are the limit" in diagnostics
    assert "Traceback" not in output
    project.succeed("up")
    assert nothing_to_do(project.succeed("up"))


def test_an_error_after_a_create_keeps_the_created_resource_in_the_state(project: FullProject) -> None:
    """The disk exists when the API stops responding. It is in the state and is not created again."""
    project.cloud.fault("cbs:DescribeDisks", code="InternalError", times=1)
    project.run("up")
    project.succeed("up")
    disks = project.cloud.api.call("cbs", "DescribeDisks", {"Offset": 0, "Limit": 100})["DiskSet"]
    assert len([disk for disk in disks if disk["DiskUsage"] == "DATA_DISK"]) == 1
    assert nothing_to_do(project.succeed("up"))


def test_a_lost_response_stops_the_run_and_reports_what_may_exist(project: FullProject) -> None:
    project.cloud.fault("vpc:CreateVpc", drop=True, times=1)
    output = project.fail("up")
    diagnostics = output[output.index("Diagnostics:") :]
    assert "tencentcloud:Vpc:Instance (network-vpc):" in diagnostics
    advice = r"CreateVpc: no response from .*\n.*check its result in the cloud before the next run"
    assert re.search(advice, diagnostics), diagnostics


def test_idempotent_requests_are_retried_after_a_lost_response(project: FullProject) -> None:
    project.cloud.fault("*:Describe*", drop=True, times=5, probability=0.3)
    project.cloud.fault("cvm:RunInstances", drop=True, times=1)  # has a ClientToken
    project.succeed("up")
    assert project.cloud.counts()["instance"] == 2
    assert nothing_to_do(project.succeed("up"))


def test_a_first_up_succeeds_with_slow_responses(project: FullProject) -> None:
    project.cloud.fault("*", latency_ms=20_000, times=3)
    project.succeed("up")
    assert nothing_to_do(project.succeed("up"))
