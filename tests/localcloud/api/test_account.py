"""The type and the quotas of the account, and `tandem doctor`, which reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from localcloud.rules.refusal import ApiError
from operations.account_checks import check_account
from operations.workspace import PROJECT_ROOT
from provisioning.errors import CloudApiError
from provisioning.health.results import CheckResult, Level
from settings.check import check_file
from tests.localcloud.api.lab import ZONE, Direct, running_cloud

IN_ZONE = [{"Name": "zone", "Values": [ZONE]}]


def examine(call: Direct, folder: Path) -> dict[str, CheckResult]:
    """The findings for the stack `local`."""

    def ask(service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return call(f"{service}:{action}", **parameters)
        except ApiError as error:
            raise CloudApiError(f"{action}: [{error.code}] {error}") from None

    file = folder / "Pulumi.local.yaml"
    file.write_text((PROJECT_ROOT / "stacks" / "Pulumi.local.yaml").read_text())
    settings = check_file(file).settings
    assert settings is not None
    return {result.name: result for result in check_account(settings, ask, deployed=False)}


def test_a_new_account_has_room_for_the_stack(call: Direct, tmp_path: Path) -> None:
    found = examine(call, tmp_path)
    assert {name: result.level for name, result in found.items() if result.level is not Level.OK} == {}
    assert found["instances"].seen == "30 of 30 free; a new stack needs 2"
    assert found["account type"].seen == "standard"


def test_a_traditional_account_is_found(tmp_path: Path) -> None:
    with running_cloud(account="traditional") as cloud:
        assert examine(Direct(cloud), tmp_path)["account type"].level is Level.FAIL


def test_a_used_up_quota_is_found(call: Direct, tmp_path: Path) -> None:
    for number in range(20):
        call("vpc:CreateVpc", VpcName=f"vpc-{number}", CidrBlock="10.0.0.0/16")
    call("vpc:AllocateAddresses", AddressCount=20)
    found = examine(call, tmp_path)
    assert [name for name, result in found.items() if result.level is Level.FAIL] == ["addresses", "VPCs"]
    (quota, today) = call("vpc:DescribeAddressQuota")["QuotaSet"]
    assert (quota["QuotaCurrent"], today["QuotaCurrent"]) == (20, 20)


def test_a_filter_selects_a_zone_and_another_one_is_refused(call: Direct) -> None:
    rows = call("cvm:DescribeZoneInstanceConfigInfos", Filters=IN_ZONE)["InstanceTypeQuotaSet"]
    assert {row["Zone"] for row in rows} == {ZONE}
    overview = call("cvm:DescribeAccountQuota", Filters=IN_ZONE)["AccountQuotaOverview"]
    assert [row["Zone"] for row in overview["AccountQuota"]["PostPaidQuotaSet"]] == [ZONE]
    assert len(call("cvm:DescribeAccountQuota")["AccountQuotaOverview"]["AccountQuota"]["PostPaidQuotaSet"]) > 1
    with pytest.raises(ApiError, match="filter"):
        call("cvm:DescribeAccountQuota", Filters=[{"Name": "colour", "Values": ["red"]}])


def test_only_known_limits_of_vpcs_are_shown(call: Direct) -> None:
    found = call("vpc:DescribeVpcLimits", LimitTypes=["vpc-max-havips", "vpc-max-cats"])["VpcLimitSet"]
    assert found == [{"LimitType": "vpc-max-havips", "LimitValue": 10}]
