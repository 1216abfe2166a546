"""The resource types of Tencent Cloud together, with the real engine and the API of localcloud on loopback."""

from __future__ import annotations

from contextlib import closing

import pytest

from localcloud.providers.tencentcloud.api import ApiError
from localcloud.providers.tencentcloud.endpoint import Endpoint

from .cloud import MORE, MORE_PROGRAM, NETWORK, NETWORK_PROGRAM, Cloud
from .project import Project


@pytest.fixture
def network(project: Project) -> Project:
    """A program with a network, two instances, a virtual IP and their dependent resources; not yet deployed."""
    project.write(NETWORK_PROGRAM)
    return project


def test_a_network_is_created_updated_and_destroyed(network: Project, cloud: Cloud) -> None:
    assert network.up().changes == {"create": 19}
    assert cloud.counts() == NETWORK
    outputs = network.outputs()
    assert outputs["public_ip"].startswith("203.0.113.")
    assert outputs["user_data"] == "[secret]"

    requests = len(cloud.requests())
    assert network.up().changes == {"same": 19}
    assert len(cloud.requests()) == requests, "an unchanged run must not call the API"

    network.write(NETWORK_PROGRAM, unused="unused", label="two", type="S5.MEDIUM4", port="80,443")
    assert network.up().changes == {"same": 11, "update": 8}
    assert network.outputs()["ids"] == outputs["ids"]
    found = cloud.api.cvm("DescribeInstances", {})["InstanceSet"]
    assert {one["InstanceType"] for one in found} == {"S5.MEDIUM4"}
    assert {tag["Value"] for one in found for tag in one["Tags"]} == {"two"}
    policies = cloud.api.vpc("DescribeSecurityGroupPolicies", {"SecurityGroupId": network.resources()["group"]["id"]})
    assert policies["SecurityGroupPolicySet"]["Ingress"][0]["Port"] == "80,443"
    assert network.refresh().changes == {"same": 19}
    assert network.up().changes == {"same": 19}

    assert network.destroy().changes == {"delete": 19}
    assert cloud.counts() == {}


def test_nat_alarms_and_dns_are_created_updated_and_destroyed(project: Project, cloud: Cloud) -> None:
    project.write(NETWORK_PROGRAM + MORE_PROGRAM)
    assert project.up().changes == {"create": 28}
    assert (cloud.counts(), cloud.more_counts()) == (NETWORK | {"eip": 3}, MORE)
    assert project.refresh().changes == {"same": 28}
    assert project.up().changes == {"same": 28}

    project.write(NETWORK_PROGRAM + MORE_PROGRAM, label="two", bandwidth="200", cpu="80", ttl="1200")
    assert project.up().changes == {"same": 16, "update": 12}
    assert cloud.api.vpc("DescribeNatGateways", {})["NatGatewaySet"][0]["InternetMaxBandwidthOut"] == 200
    policy = cloud.api.call(
        "monitor", "DescribeAlarmPolicy", {"Module": "monitor", "PolicyId": project.resources()["policy"]["id"]}
    )
    assert policy["Policy"]["Condition"]["Rules"][0]["Value"] == "80"
    assert project.up().changes == {"same": 28}
    project.destroy()
    assert (cloud.counts(), cloud.more_counts()) == ({}, {})


def test_a_replaced_instance_keeps_its_address_and_its_attachments_are_replaced(network: Project, cloud: Cloud) -> None:
    network.up()
    before = network.resources()
    network.write(NETWORK_PROGRAM, hostname="net-dev")
    run = network.up()
    after = network.resources()
    for name in ("machine-a", "machine-b", "attachment-0", "attachment-1", "disk-attachment", "association", "binding"):
        assert name in after
    assert before["machine-a"]["id"] != after["machine-a"]["id"]
    assert after["machine-a"]["outputs"]["privateIp"] == "10.0.4.20"
    # The same disk: the attachment has the ID of the disk.
    assert before["disk"]["id"] == after["disk"]["id"]
    assert run.changes["replace"] == 6
    assert cloud.counts() == NETWORK
    assert network.up().changes == {"same": 19}


def test_a_new_cidr_replaces_the_vpc_and_its_subnet_and_virtual_ip(project: Project, cloud: Cloud) -> None:
    program = """
        import pulumi, tencentcloud_iac_pulumi as tc
        cidr = pulumi.Config().require("cidr")
        vpc = tc.vpc.Instance("vpc", name="net-dev", cidr_block=cidr)
        subnet = tc.subnet.Instance("subnet", name="net-dev", vpc_id=vpc.id, cidr_block="10.0.4.0/24",
                                    availability_zone="ap-guangzhou-6")
        tc.ha.Vip("vip", name="net-dev", vpc_id=vpc.id, subnet_id=subnet.id, vip="10.0.4.99",
                  opts=pulumi.ResourceOptions(parent=subnet))
    """
    project.write(program, cidr="10.0.0.0/16")
    project.up()
    before = project.resources()
    project.write(program, cidr="10.0.0.0/20")
    assert project.up().changes == {"same": 1, "replace": 3}
    after = project.resources()
    assert all(before[name]["id"] != after[name]["id"] for name in ("vpc", "subnet", "vip"))
    assert cloud.counts() == {"vpc": 1, "subnet": 1, "havip": 1}


def test_a_changed_charge_type_requires_a_replacement(project: Project, cloud: Cloud) -> None:
    program = """
        import pulumi, tencentcloud_iac_pulumi as tc
        config = pulumi.Config()
        fields = ["internet_charge_type", "bandwidth_package_id"] if config.get("replace") else []
        tc.eip.Instance("eip", name="net-dev", internet_max_bandwidth_out=10, internet_charge_type=config.get("charge"),
                        bandwidth_package_id=config.get("package"),
                        opts=pulumi.ResourceOptions(replace_on_changes=fields))
    """
    project.write(program, charge="TRAFFIC_POSTPAID_BY_HOUR")
    project.up()
    before = project.resources()["eip"]["id"]
    project.write(program, charge="BANDWIDTH_POSTPAID_BY_HOUR")
    assert "UnsupportedOperation.InvalidAddressInternetChargeType" in project.try_up().failure
    project.write(program, charge="BANDWIDTH_POSTPAID_BY_HOUR", replace="yes")
    assert project.up().changes == {"same": 1, "replace": 1}
    assert project.resources()["eip"]["id"] != before
    assert cloud.counts() == {"eip": 1}
    project.write(program, charge="BANDWIDTH_PACKAGE", package="bwp-1234abcd", replace="yes")
    assert "InvalidParameterValue.BandwidthPackageNotFound" in project.try_up().failure


@pytest.mark.parametrize("action", ["vpc:CreateVpc", "vpc:CreateSecurityGroup"])
def test_a_create_without_a_response_is_reported_and_its_result_is_not_adopted(
    network: Project, cloud: Cloud, action: str
) -> None:
    cloud.fault(action, drop=True)
    run = network.try_up()
    assert f"{action.partition(':')[2]}: no response from" in run.failure
    assert "check its result in the cloud" in run.failure
    kind = {"vpc:CreateVpc": "vpc", "vpc:CreateSecurityGroup": "group"}[action]
    network.up()
    assert cloud.counts()[kind] == 2


def test_a_create_with_a_client_token_is_repeated_without_a_response(network: Project, cloud: Cloud) -> None:
    for action in ("vpc:AllocateAddresses", "cbs:CreateDisks", "cvm:RunInstances", "cvm:CreateDisasterRecoverGroup"):
        cloud.fault(action, drop=True)
    network.up()
    assert cloud.counts() == NETWORK


def test_an_error_has_the_resource_the_code_and_the_request_without_a_traceback(network: Project, cloud: Cloud) -> None:
    cloud.fault("vpc:CreateHaVip", code="LimitExceeded", message="too many of them")
    run = network.try_up()
    assert "tencentcloud:Ha:Vip (vip)" in run.failure
    assert "CreateHaVip: [LimitExceeded] too many of them (RequestId " in run.failure
    assert "localcloud/providers" not in run.failure
    made = network.resources()
    assert "vpc" in made
    assert "vip" not in made
    network.up()
    assert cloud.counts() == NETWORK


def test_a_failed_create_is_in_the_state_and_completed_by_the_next_run(network: Project, cloud: Cloud) -> None:
    # The instance already exists; only the wait for it fails.
    cloud.fault("cvm:DescribeInstances", code="InternalError", times=2)
    run = network.try_up()
    cloud.clear_faults()
    assert "[InternalError]" in run.failure
    # After the failure of one instance, the engine may not have started the other.
    left = {name: one["id"] for name, one in network.resources().items() if one.get("initErrors")}
    assert left
    assert all(id_.startswith("ins-") for id_ in left.values())
    network.up()
    after = network.resources()
    assert {name: after[name]["id"] for name in left} == left
    assert [one for one in after.values() if "initErrors" in one] == []
    assert {after[name]["outputs"]["instanceStatus"] for name in left} == {"RUNNING"}
    assert cloud.counts() == NETWORK
    assert network.up().changes == {"same": 19}


def test_the_changes_of_a_failed_update_are_in_the_state(network: Project, cloud: Cloud) -> None:
    network.up()
    # Only the group changes: after the failure of another update the engine would not start this one.
    network.write(NETWORK_PROGRAM, group_label="two")
    # The description of the group is already changed, its tags are not.
    cloud.fault("tag:ModifyResourceTags", code="InternalError", times=20)
    assert "[InternalError]" in network.try_up().failure
    cloud.clear_faults()
    outputs = network.resources()["group"]["outputs"]
    assert (outputs["description"], outputs["tags"]) == ("two", {"label": "one"})
    network.up()
    assert network.resources()["group"]["outputs"]["tags"] == {"label": "two"}


def test_requests_to_a_busy_api_are_repeated(network: Project, cloud: Cloud) -> None:
    cloud.fault("vpc:CreateSubnet", code="RequestLimitExceeded", times=3)
    cloud.fault("vpc:CreateHaVip", code="ResourceInUse.Whatever", times=2)
    network.up()
    assert cloud.requests().count("vpc:CreateSubnet") == 4


def test_a_destroy_skips_deleted_resources(network: Project, cloud: Cloud) -> None:
    network.up()
    ids = network.outputs()["ids"]
    resources = network.resources()
    cloud.api.vpc("HaVipDisassociateAddressIp", {"HaVipId": resources["vip"]["id"]})
    cloud.api.call("cbs", "DetachDisks", {"DiskIds": [resources["disk"]["id"]], "InstanceId": ids[0]})
    network.destroy()
    assert cloud.counts() == {}


def test_an_existing_resource_is_imported(network: Project) -> None:
    network.up()
    vpc_id = network.resources()["vpc"]["id"]
    with closing(Project(network.directory / "second", network.environment)) as second:
        second.write(
            f"""
            import pulumi, tencentcloud_iac_pulumi as tc
            tc.vpc.Instance("vpc", name="net-dev", cidr_block="10.0.0.0/16", tags={{"label": "one"}},
                            opts=pulumi.ResourceOptions(import_="{vpc_id}"))
            """
        )
        assert second.up().changes == {"create": 1, "import": 1}
        assert second.resources()["vpc"]["outputs"] == network.resources()["vpc"]["outputs"]
        assert second.up().changes == {"same": 2}


def test_missing_credentials_are_reported(network: Project) -> None:
    network.environment.update({"TENCENTCLOUD_SECRET_ID": "", "TENCENTCLOUD_SECRET_KEY": "", "TENCENTCLOUD_REGION": ""})
    failure = network.try_up().failure
    assert "TENCENTCLOUD_SECRET_ID" in failure
    assert "localcloud exec" in failure


def test_another_api_is_refused_with_the_command_that_installs_the_real_plugin(network: Project) -> None:
    network.environment["TENCENTCLOUD_DOMAIN"] = "192.0.2.1:443"
    failure = network.try_up().failure
    assert "192.0.2.1:443 must be the API of localcloud" in failure
    assert "pulumi plugin install resource tencentcloud 0.2.3 --server " in failure


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        ("tencentcloudapi.com", "vpc.tencentcloudapi.com"),
        ("internal.tencentcloudapi.com", "vpc.internal.tencentcloudapi.com"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
    ],
)
def test_the_host_name_has_the_service_unless_it_is_an_address(domain: str, host: str) -> None:
    assert Endpoint("https", domain, "", "", "").host("vpc") == host


@pytest.mark.parametrize(
    ("code", "missing"),
    [("ResourceNotFound", True), ("InvalidVpcId.NotFound", True), ("UnsupportedOperation", False)],
)
def test_the_codes_of_missing_resources_are_recognized(code: str, missing: bool) -> None:  # noqa: FBT001 - from the parameters above
    assert ApiError("DeleteVpc", code, "", "").missing is missing
