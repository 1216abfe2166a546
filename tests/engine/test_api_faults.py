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


def test_a_lost_response_to_a_create_is_recovered_by_the_same_run(project: FullProject) -> None:
    project.cloud.fault("vpc:CreateVpc", drop=True, times=1)
    output = project.succeed("up")
    assert re.search(r"tencentcloud:Vpc:Instance \(network-vpc\):.*\n.*CreateVpc: no response from ", output), output
    (vpc_id,) = vpc_ids(project)
    assert f"network-vpc: importing {vpc_id}." in output
    assert project.resources()["network-vpc"]["id"] == vpc_id
    assert nothing_to_do(project.succeed("up"))


def vpc_ids(project: FullProject) -> list[str]:
    vpcs = project.cloud.api.vpc("DescribeVpcs", {"Offset": "0", "Limit": "100"})["VpcSet"]
    return [vpc["VpcId"] for vpc in vpcs]


def test_a_lost_response_without_an_object_stops_the_run(project: FullProject) -> None:
    project.cloud.fault("vpc:CreateVpc", drop=True, times=1)
    project.cloud.fault("vpc:DescribeVpcs", stale_ms=60_000, times=0)
    output = project.fail("up")
    assert "network-vpc: it does not exist." in output
    assert "check its result in the cloud before the next run" in output


def test_several_objects_of_a_failed_create_are_named_until_one_is_left(project: FullProject) -> None:
    other = {"VpcName": "tandem-local-vpc", "CidrBlock": "10.9.0.0/16"}
    unused = project.cloud.api.vpc("CreateVpc", other)["Vpc"]["VpcId"]
    project.cloud.fault("vpc:CreateVpc", drop=True, times=1)
    for _ in range(2):
        output = project.fail("up")
        assert f"one of {', '.join(vpc_ids(project))}; nothing was changed" in output
        assert "Traceback" not in output
    project.cloud.api.vpc("DeleteVpc", {"VpcId": unused})
    project.succeed("up")
    assert [project.resources()["network-vpc"]["id"]] == vpc_ids(project)


def test_a_deployment_succeeds_although_reads_lag_behind_writes(project: FullProject) -> None:
    project.environment["TENCENTCLOUD_WAIT_READ_TIMEOUT"] = "1"
    project.cloud.fault("*:Describe*", stale_ms=1000, times=0)
    output = project.succeed("up")
    assert "does not exist directly after its creation" in output
    assert "continuing the deployment" in output
    # The imported nodes have their user data, which is secret, from the API.
    for name in ("nodes.iam-a", "nodes.iam-b"):
        node = project.resources()[name]
        for value in (node["inputs"]["userDataRaw"], node["outputs"]["userData"], node["outputs"]["userDataRaw"]):
            assert "ciphertext" in value, node
    shown = project.pulumi("stack", "export", "--show-secrets", "--stack", "local")
    assert shown.count("#cloud-config") >= 4
    assert "[secret]" not in shown
    assert nothing_to_do(project.succeed("up"))
    project.succeed("destroy")
    project.cloud.clear_faults()
    assert project.cloud.counts() == {}


def test_a_deployment_succeeds_with_realistic_latency(project: FullProject) -> None:
    project.cloud.fault("*", latency_ms=1500, times=0, probability=0.2)
    project.succeed("up")
    assert nothing_to_do(project.succeed("up"))
    project.succeed("destroy")
    assert project.cloud.counts() == {}


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
