"""Tencent Cloud's resource types, against localcloud's API on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.engine.tencent.api import ApiError, Endpoint

from .cloud import MORE, MORE_PROGRAM, NETWORK, NETWORK_PROGRAM, Cloud, running_cloud
from .conftest import Project


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with running_cloud(tmp_path) as running:
        yield running


@pytest.fixture
def network(project: Project, cloud: Cloud) -> Project:
    """The program with a network, two machines, a virtual address and what belongs to them; not yet run."""
    project.environment.update(cloud.environment)
    project.write(NETWORK_PROGRAM, recorder=False)
    return project


def _write(project: Project, config: str) -> None:
    project.write(NETWORK_PROGRAM, config=config, recorder=False)


def test_a_whole_network_lives_and_goes(network: Project, cloud: Cloud) -> None:
    assert "+ 19 created" in network.up()
    assert cloud.counts() == NETWORK
    outputs = network.outputs()
    assert outputs["public_ip"].startswith("203.0.113.")
    assert outputs["user_data"] == "[secret]"

    asked = len(cloud.requests())
    assert "19 unchanged" in network.up()
    assert len(cloud.requests()) == asked, "an unchanged run asks the API nothing"

    _write(network, "net:label: unused\nlittle:label: two\nlittle:type: S5.MEDIUM4\nlittle:port: 80,443")
    assert "~ 8 updated" in network.up()
    assert network.outputs()["ids"] == outputs["ids"]
    found = cloud.api.cvm("DescribeInstances", {})["InstanceSet"]
    assert {one["InstanceType"] for one in found} == {"S5.MEDIUM4"}
    assert {tag["Value"] for one in found for tag in one["Tags"]} == {"two"}
    policies = cloud.api.vpc("DescribeSecurityGroupPolicies", {"SecurityGroupId": network.resources()["group"]["id"]})
    assert policies["SecurityGroupPolicySet"]["Ingress"][0]["Port"] == "80,443"
    assert "19 unchanged" in network.up()

    assert "- 19 deleted" in network.destroy()
    assert cloud.counts() == {}


def test_a_way_out_alarms_and_names_live_and_go_too(project: Project, cloud: Cloud) -> None:
    project.environment.update(cloud.environment)
    project.write(NETWORK_PROGRAM + MORE_PROGRAM, recorder=False)
    assert "+ 28 created" in project.up()
    assert (cloud.counts(), cloud.more_counts()) == (NETWORK | {"eip": 3}, MORE)
    assert "28 unchanged" in project.up()

    config = "little:label: two\nlittle:bandwidth: 200\nlittle:cpu: 80\nlittle:ttl: 300"
    project.write(NETWORK_PROGRAM + MORE_PROGRAM, config=config, recorder=False)
    assert "~ 12 updated" in project.up()
    assert cloud.api.vpc("DescribeNatGateways", {})["NatGatewaySet"][0]["InternetMaxBandwidthOut"] == 200
    policy = cloud.api.call(
        "monitor", "DescribeAlarmPolicy", {"Module": "monitor", "PolicyId": project.resources()["policy"]["id"]}
    )
    assert policy["Policy"]["Condition"]["Rules"][0]["Value"] == "80"
    assert "28 unchanged" in project.up()
    project.destroy()
    assert (cloud.counts(), cloud.more_counts()) == ({}, {})


_MAKING = (
    *("vpc:CreateVpc", "vpc:CreateSubnet", "vpc:CreateSecurityGroup", "vpc:CreateHaVip", "vpc:CreateRouteTable"),
    *("vpc:CreateRoutes", "vpc:CreateNatGateway", "vpc:AssociateHaVipInstance", "vpc:HaVipAssociateAddressIp"),
    *("vpc:AllocateAddresses", "vpc:AssociateAddress", "vpc:ReplaceRouteTableAssociation"),
    *("cvm:ImportKeyPair", "cvm:CreateDisasterRecoverGroup", "cvm:RunInstances"),
    *("cbs:CreateDisks", "cbs:AttachDisks", "dnspod:CreateRecord"),
    *("monitor:CreateAlarmNotice", "monitor:CreateAlarmPolicy", "monitor:BindingPolicyObject"),
)


def test_each_thing_that_was_made_without_an_answer_is_found_again(project: Project, cloud: Cloud) -> None:
    project.environment.update(cloud.environment)
    project.write(NETWORK_PROGRAM + MORE_PROGRAM, recorder=False)
    for action in _MAKING:
        cloud.fault(action, drop=True)
    for _ in range(15):
        if project.run("up", "--yes").code == 0:
            break
    assert (cloud.counts(), cloud.more_counts()) == (NETWORK | {"eip": 3}, MORE)
    assert "28 unchanged" in project.up()
    project.destroy()
    assert (cloud.counts(), cloud.more_counts()) == ({}, {})


def test_a_replaced_machine_takes_its_attachments_along_and_keeps_its_address(network: Project, cloud: Cloud) -> None:
    network.up()
    before = network.resources()
    _write(network, "little:public: true")
    run = network.up()
    after = network.resources()
    for name in ("machine-a", "machine-b", "attachment-0", "attachment-1", "disk-attachment", "association", "binding"):
        assert name in after
    assert before["machine-a"]["id"] != after["machine-a"]["id"]
    assert after["machine-a"]["outputs"]["privateIp"] == "10.0.4.20"
    # The same disk: its id is its attachment's id.
    assert before["disk"]["id"] == after["disk"]["id"]
    assert "+- 6 replaced" in run
    assert cloud.counts() == NETWORK
    assert "19 unchanged" in network.up()


def test_a_new_cidr_replaces_the_vpc_and_all_that_is_in_it(project: Project, cloud: Cloud) -> None:
    program = """
        import pulumi, tencentcloud_iac_pulumi as tc
        cidr = pulumi.Config().require("cidr")
        vpc = tc.vpc.Instance("vpc", name="net-dev", cidr_block=cidr)
        subnet = tc.subnet.Instance("subnet", name="net-dev", vpc_id=vpc.id, cidr_block="10.0.4.0/24",
                                    availability_zone="ap-guangzhou-6")
        tc.ha.Vip("vip", name="net-dev", vpc_id=vpc.id, subnet_id=subnet.id, vip="10.0.4.99")
    """
    project.environment.update(cloud.environment)
    project.write(program, config="little:cidr: 10.0.0.0/16", recorder=False)
    project.up()
    before = project.resources()
    project.write(program, config="little:cidr: 10.0.0.0/20", recorder=False)
    assert "+- 3 replaced" in project.up()
    after = project.resources()
    assert all(before[name]["id"] != after[name]["id"] for name in ("vpc", "subnet", "vip"))
    assert cloud.counts() == {"vpc": 1, "subnet": 1, "havip": 1}


@pytest.mark.parametrize(
    "action", ["vpc:CreateVpc", "vpc:CreateSecurityGroup", "vpc:AllocateAddresses", "cbs:CreateDisks"]
)
def test_what_was_made_without_an_answer_is_found_by_the_next_run(network: Project, cloud: Cloud, action: str) -> None:
    cloud.fault(action, drop=True)
    first = network.run("up", "--yes")
    if action in {"vpc:CreateVpc", "vpc:CreateSecurityGroup"}:
        assert first.code == 1
        assert "no answer from" in first
        assert "adopt" in network.up()
    else:
        # These carry a client token, and are simply asked again.
        assert first.code == 0, first.output
    assert cloud.counts() == NETWORK


def test_an_error_names_the_resource_the_code_and_the_request(network: Project, cloud: Cloud) -> None:
    cloud.fault("vpc:CreateHaVip", code="LimitExceeded", message="too many of them")
    run = network.run("up", "--yes")
    assert run.code == 1
    assert "urn:pulumi:dev::little::tencentcloud:Ha/vip:Vip::vip" in run
    assert "CreateHaVip: [LimitExceeded] too many of them (RequestId " in run
    made = network.resources()
    assert "vpc" in made
    assert "vip" not in made
    network.up()
    assert cloud.counts() == NETWORK


def test_a_busy_api_is_waited_for(network: Project, cloud: Cloud) -> None:
    cloud.fault("vpc:CreateSubnet", code="RequestLimitExceeded", times=3)
    cloud.fault("vpc:CreateHaVip", code="ResourceInUse.Whatever", times=2)
    network.up()
    assert cloud.requests().count("vpc:CreateSubnet") == 4


def test_what_is_gone_already_is_no_error_in_a_destroy(network: Project, cloud: Cloud) -> None:
    network.up()
    ids = network.outputs()["ids"]
    resources = network.resources()
    cloud.api.vpc("HaVipDisassociateAddressIp", {"HaVipId": resources["vip"]["id"]})
    cloud.api.call("cbs", "DetachDisks", {"DiskIds": [resources["disk"]["id"]], "InstanceId": ids[0]})
    network.destroy()
    assert cloud.counts() == {}


def test_nothing_is_begun_without_credentials(project: Project) -> None:
    project.environment.update({"TENCENTCLOUD_SECRET_ID": "", "TENCENTCLOUD_SECRET_KEY": "", "TENCENTCLOUD_REGION": ""})
    project.write(NETWORK_PROGRAM, recorder=False)
    run = project.run("up", "--yes")
    assert run.code == 1
    assert "TENCENTCLOUD_SECRET_ID" in run
    assert "localcloud exec" in run


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        ("tencentcloudapi.com", "vpc.tencentcloudapi.com"),
        ("internal.tencentcloudapi.com", "vpc.internal.tencentcloudapi.com"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
    ],
)
def test_the_service_is_in_the_host_name_where_there_is_one(domain: str, host: str) -> None:
    assert Endpoint("https", domain, "", "", "").host("vpc") == host


@pytest.mark.parametrize(
    ("code", "missing"),
    [("ResourceNotFound", True), ("InvalidVpcId.NotFound", True), ("UnsupportedOperation", False)],
)
def test_codes_of_missing_things_are_known(code: str, missing: bool) -> None:  # noqa: FBT001 - from the table above it
    assert ApiError("DeleteVpc", code, "", "").missing is missing
