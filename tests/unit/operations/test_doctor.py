"""`tandem doctor`: each fault is found, and each finding names its remedy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations import doctor
from operations.account_checks import check_account
from operations.workspace import PROJECT_ROOT
from provisioning.errors import CloudApiError, UnreachableError
from provisioning.health.checks import Group, PublicSide
from provisioning.health.public_checks import Address, Service
from provisioning.health.results import CheckResult, Level
from provisioning.inventory import Inventory, RemoteNode
from settings.check import check_file
from settings.sections import Settings

NO_ADDRESS = {"QuotaId": "TOTAL_EIP_QUOTA", "QuotaCurrent": 20, "QuotaLimit": 20}
ADDRESSES = {"QuotaId": "TOTAL_EIP_QUOTA", "QuotaCurrent": 1, "QuotaLimit": 20}
NONE_TODAY = {"QuotaId": "DAILY_EIP_APPLY", "QuotaCurrent": 40, "QuotaLimit": 40}
EXISTING = {"vpcId": "vpc-12345678", "subnetId": "subnet-12345678"}


def instances(left: int) -> dict[str, Any]:
    row = {"Zone": "ap-guangzhou-6", "RemainingQuota": left, "TotalQuota": 30}
    return {"AccountQuotaOverview": {"AccountQuota": {"PostPaidQuotaSet": [row]}}}


class FakeCloud:
    """The API's responses, by action; an exception is raised. `limits` are those of DescribeVpcLimits."""

    def __init__(self, limits: Mapping[str, int] | None = None, **changed: Any) -> None:
        self.limits = {"appid-max-vpcs": 20, "vpc-max-havips": 10, **(limits or {})}
        self.answers: dict[str, Any] = {
            "DescribeInstances": {"InstanceSet": []},
            "DescribeNetworkAccountType": {"NetworkAccountType": "STANDARD"},
            "DescribeImages": {"ImageSet": [{"OsName": "Debian 12"}]},
            "DescribeZoneInstanceConfigInfos": {
                "InstanceTypeQuotaSet": [{"InstanceType": "S5.MEDIUM2", "Status": "SELL"}]
            },
            "DescribeAccountQuota": instances(30),
            "DescribeAddressQuota": {"QuotaSet": [ADDRESSES]},
            "DescribeVpcs": {"TotalCount": 1},
            "DescribeHaVips": {"TotalCount": 0},
            **changed,
        }

    def __call__(self, service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        del service
        if action == "DescribeVpcLimits":
            return {"VpcLimitSet": [{"LimitType": n, "LimitValue": self.limits[n]} for n in parameters["LimitTypes"]]}
        answer = self.answers[action]
        if isinstance(answer, Exception):
            raise answer
        return answer


def settings(tmp_path: Path, **network: Any) -> Settings:
    config = yaml.safe_load((PROJECT_ROOT / "stacks" / "Pulumi.local.yaml").read_text())
    config["config"]["tandem:network"] = {**config["config"]["tandem:network"], **network}
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text(yaml.safe_dump(config))
    found = check_file(file).settings
    assert found is not None
    return found


def examine(
    call: FakeCloud | None, tmp_path: Path, *, deployed: bool = False, **network: Any
) -> dict[str, CheckResult]:
    checked = settings(tmp_path, **network)
    return {result.name: result for result in check_account(checked, call, deployed=deployed)}


def test_an_account_that_has_everything_passes(tmp_path: Path) -> None:
    found = examine(FakeCloud(), tmp_path)
    assert {result.level for result in found.values()} == {Level.OK}
    assert list(found) == [
        "credentials", "account type", "image", "instance types", "instances", "addresses", "VPCs", "HAVIPs",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cloud", "name", "seen", "remedy"),
    [
        pytest.param(
            FakeCloud(DescribeNetworkAccountType={"NetworkAccountType": "LEGACY"}), "account type",
            "traditional (bill-by-CVM)", "684/15246", id="account type",
        ),
        pytest.param(
            FakeCloud(DescribeImages={"ImageSet": []}), "image", "there is no image img-services", "nodes.image",
            id="image",
        ),
        pytest.param(
            FakeCloud(DescribeZoneInstanceConfigInfos={"InstanceTypeQuotaSet": []}), "instance types",
            "S5.MEDIUM2 cannot be bought in ap-guangzhou-6", "network.zone", id="type",
        ),
        pytest.param(
            FakeCloud(DescribeAccountQuota=instances(1)), "instances", "1 of 30 free; a new stack needs 2",
            "quota of CVMs", id="instances",
        ),
        pytest.param(
            FakeCloud(DescribeAddressQuota={"QuotaSet": [NO_ADDRESS]}), "addresses",
            "0 of 20 free; a new stack needs 1", "quota of EIPs", id="addresses",
        ),
        pytest.param(
            FakeCloud(DescribeAddressQuota={"QuotaSet": [ADDRESSES, NONE_TODAY]}), "addresses",
            "0 can still be allocated today", "quota of EIPs", id="addresses of today",
        ),
        pytest.param(
            FakeCloud(DescribeVpcs={"TotalCount": 20}), "VPCs", "0 of 20 free; a new stack needs 1", "network.existing",
            id="VPCs",
        ),
        pytest.param(
            FakeCloud({"vpc-max-havips": 0}), "HAVIPs", "the account may not have any", "request access",
            id="HAVIPs not allowed",
        ),
        pytest.param(
            FakeCloud(DescribeHaVips=CloudApiError("[UnsupportedOperation] not enabled")), "HAVIPs",
            "not enabled", "request access", id="HAVIPs refused",
        ),
        pytest.param(
            FakeCloud(DescribeInstances=CloudApiError("[AuthFailure.SecretIdNotFound] the key does not exist")),
            "credentials", "AuthFailure", "TENCENTCLOUD_SECRET_ID", id="key",
        ),
    ],
)  # fmt: skip
def test_each_fault_of_the_account_has_a_remedy(
    tmp_path: Path, cloud: FakeCloud, name: str, seen: str, remedy: str
) -> None:
    result = examine(cloud, tmp_path)[name]
    assert result.level is Level.FAIL
    assert seen in result.seen
    assert remedy in result.look_at


def test_the_resources_of_a_deployed_stack_may_have_used_up_the_quotas(tmp_path: Path) -> None:
    full = FakeCloud(
        DescribeAccountQuota=instances(0), DescribeAddressQuota={"QuotaSet": [NO_ADDRESS, NONE_TODAY]},
        DescribeVpcs={"TotalCount": 20},
    )  # fmt: skip
    assert {result.level for result in examine(full, tmp_path, deployed=True).values()} == {Level.OK}


def test_an_existing_vpc_needs_room_for_the_havips_only(tmp_path: Path) -> None:
    full = FakeCloud(DescribeVpcs={"TotalCount": 20}, DescribeHaVips={"TotalCount": 10})
    found = examine(full, tmp_path, existing=EXISTING)
    assert found["VPCs"].level is Level.OK
    assert (found["HAVIPs"].level, found["HAVIPs"].seen) == (Level.FAIL, "0 of 10 free; a new stack needs 1")


@pytest.mark.parametrize("action", ["DescribeAddressQuota", "DescribeHaVips"])
def test_a_forbidden_action_is_a_warning_and_the_other_checks_continue(tmp_path: Path, action: str) -> None:
    forbidden = CloudApiError(f"{action}: [UnauthorizedOperation] no")
    cloud = FakeCloud()
    cloud.answers[action] = forbidden
    found = examine(cloud, tmp_path)
    assert [result.level for result in found.values()].count(Level.WARNING) == 1
    assert [result.level for result in found.values()].count(Level.OK) == len(found) - 1


def test_without_credentials_the_account_is_not_asked(tmp_path: Path) -> None:
    assert list(examine(None, tmp_path)) == ["credentials"]


def test_missing_plugins_and_a_wrong_clock_are_found() -> None:
    assert doctor.check_plugins([{"name": "random"}], replaced=False).seen == "not installed: tencentcloud, tls"
    assert doctor.check_plugins([], replaced=True).level is Level.OK
    date = "Fri, 27 Nov 2026 15:00:00 GMT"
    assert doctor.check_clock(date, lambda: 1795791600.0).level is Level.OK
    assert doctor.check_clock(date, lambda: 1795791600.0 + 600).level is Level.FAIL
    assert doctor.check_clock("", lambda: 0.0).level is Level.WARNING


def test_a_node_that_cannot_be_reached_names_the_setting() -> None:
    node = RemoteNode("iam-a", "ins-1", "10.0.4.20", "10.0.4.20", "debian", (), eligible=True)

    def connect(_node: RemoteNode) -> Any:
        raise UnreachableError("iam-a: no connection", look_at="the security group")

    (result,) = doctor.check_nodes(Inventory("g", (node,), (), "key"), connect)
    assert result.level is Level.FAIL
    assert "tandem:access.adminCidrs" in result.look_at


def test_a_missing_ssh_is_a_warning_with_the_command_to_install_it() -> None:
    found = {result.name: result for result in doctor.check_operator(lambda _name: None)}
    assert found["ssh"].level is Level.WARNING
    assert "openssh-client" in found["ssh"].look_at


@pytest.mark.parametrize(
    ("answers", "level"),
    [
        pytest.param({"203.0.113.10": False, "203.0.113.11": False}, Level.OK, id="not blocked"),
        pytest.param({"203.0.113.10": False, "203.0.113.11": True}, Level.FAIL, id="blocked at one address"),
        pytest.param({"203.0.113.10": False, "203.0.113.11": None}, Level.WARNING, id="no answer"),
    ],
)
def test_a_domain_that_the_cloud_blocks_has_no_icp_filing(answers: Mapping[str, bool | None], level: Level) -> None:
    service = Service("api", "iam.api.example.com")
    public = PublicSide(tuple(Address(ip) for ip in answers), (service,), "")
    (result,) = doctor.check_filing(Group(public, Inventory("g", (), (), "key"), {}, ""), lambda at, _: answers[at.ip])
    assert (result.name, result.level) == ("iam.api.example.com", level)
    assert level is not Level.FAIL or ("203.0.113.11" in result.seen and "ICP filing" in result.look_at)


def test_a_domain_without_port_80_is_not_asked_about() -> None:
    public = PublicSide((Address("203.0.113.10"),), (Service("site", "www.example.com", http="off"),), "")
    group = Group(public, Inventory("g", (), (), "key"), {}, "")
    assert list(doctor.check_filing(group, lambda _address, _service: None)) == []


def test_a_stack_without_a_settings_file_is_created_with_init(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.demo.yaml"
    found = doctor.check_settings("stacks/Pulumi.demo.yaml", check_file(file, "demo").problems, "demo")
    assert (found.seen, found.look_at) == ("stacks/Pulumi.demo.yaml does not exist", "tandem init demo")


def test_the_virtual_ip_of_a_deployed_stack_uses_its_quota(tmp_path: Path) -> None:
    cloud = FakeCloud(DescribeHaVips={"TotalCount": 1})
    assert examine(cloud, tmp_path, deployed=True)["HAVIPs"].seen == "9 of 10 free"
    assert examine(cloud, tmp_path)["HAVIPs"].seen.startswith("10 of 10 free")
