"""After `kill -9` of tandem, pulumi and its plugins during a first `up`, the next one converges without orphans."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from operations.pending_types import TYPES
from provisioning.cloud_api import connect
from tests.engine.full_project import FullProject, full_project, nothing_to_do
from tests.engine.project import kill_all
from tests.localcloud.providers.cloud import Cloud

pytestmark = pytest.mark.timeout(1800)

# Settings with which the program declares a resource of each type.
EVERYTHING = {
    "network.egress": "nat",
    "nodes.dataDisk": {"snapshots": {}},
    "access": {"mode": "bastion", "adminCidrs": ["198.51.100.0/24"]},
    "dns": {"zone": "example.com"},
    "alarms": {"enabled": True, "receivers": {"urls": ["https://a.example.com/"]}},
}
_PAGE = {"Offset": 0, "Limit": 100}
_TEXT_PAGE = {"Offset": "0", "Limit": "100"}
_MONITOR_PAGE = {"Module": "monitor", "PageNumber": 1, "PageSize": 100}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[FullProject]:
    with full_project(tmp_path) as project:
        # Delay responses, so that some kills happen after the API's change and before pulumi records it.
        project.cloud.fault("*", latency_ms=100.0, times=0)
        yield project


def names_and_ids(cloud: Cloud) -> dict[str, list[str]]:
    """Return the ids of all created resources that the API lists, by kind."""
    api = cloud.api
    listed: dict[str, tuple[list[dict[str, Any]], str]] = {
        "vpc": (api.vpc("DescribeVpcs", _TEXT_PAGE)["VpcSet"], "VpcId"),
        "subnet": (api.vpc("DescribeSubnets", _TEXT_PAGE)["SubnetSet"], "SubnetId"),
        "group": (api.vpc("DescribeSecurityGroups", {})["SecurityGroupSet"], "SecurityGroupId"),
        "table": (api.vpc("DescribeRouteTables", _TEXT_PAGE)["RouteTableSet"], "RouteTableId"),
        "nat": (api.vpc("DescribeNatGateways", _PAGE)["NatGatewaySet"], "NatGatewayId"),
        "havip": (api.vpc("DescribeHaVips", _PAGE)["HaVipSet"], "HaVipId"),
        "address": (api.vpc("DescribeAddresses", _PAGE)["AddressSet"], "AddressId"),
        "key": (api.cvm("DescribeKeyPairs", _PAGE)["KeyPairSet"], "KeyId"),
        "placement": (
            api.cvm("DescribeDisasterRecoverGroups", _PAGE)["DisasterRecoverGroupSet"],
            "DisasterRecoverGroupId",
        ),
        "instance": (api.cvm("DescribeInstances", _PAGE)["InstanceSet"], "InstanceId"),
        "disk": (api.call("cbs", "DescribeDisks", _PAGE)["DiskSet"], "DiskId"),
        "snapshot policy": (
            api.call("cbs", "DescribeAutoSnapshotPolicies", _PAGE)["AutoSnapshotPolicySet"],
            "AutoSnapshotPolicyId",
        ),
        "notice": (api.call("monitor", "DescribeAlarmNotices", {**_MONITOR_PAGE, "Order": "ASC"})["Notices"], "Id"),
        "policy": (api.call("monitor", "DescribeAlarmPolicies", _MONITOR_PAGE)["Policies"], "PolicyId"),
        "record": (
            api.call("dnspod", "DescribeRecordList", {"Domain": "example.com", "ErrorOnEmpty": "no"})["RecordList"],
            "RecordId",
        ),
    }
    return {kind: sorted(str(one[key]) for one in found if _is_made(one)) for kind, (found, key) in listed.items()}


def _is_made(one: dict[str, Any]) -> bool:
    """False for a VPC's main route table, system disks and a domain's default records, which the cloud creates."""
    return not one.get("Main") and one.get("DiskUsage") != "SYSTEM_DISK" and not one.get("DefaultNS")


def kill_a_first_up(project: FullProject, cloud: Cloud, after: int) -> None:
    """Start `up` and kill it when the API has received `after` change requests."""
    process = project.start_with("up", EVERYTHING)
    while process.poll() is None and len(changes(cloud)) < after:
        time.sleep(0.01)
    kill_all(process)


def changes(cloud: Cloud) -> list[str]:
    """Return the requests that change resources."""
    return [one for one in cloud.requests() if not one.partition(":")[2].startswith("Describe")]


def test_every_kind_is_created_and_destroyed(project: FullProject) -> None:
    """The reference for the following tests."""
    cloud = project.cloud
    project.succeed("up", changes=EVERYTHING)
    made = names_and_ids(cloud)
    assert {kind for kind, ids in made.items() if not ids} == set()
    objects = [one for one in project.state()["resources"] if one["type"].startswith("tencentcloud:")]
    call = connect(cloud.environment)
    found = {one["urn"]: TYPES[one["type"]].find(one["inputs"], call) for one in objects}
    # After an interrupted create, the search for each resource would find this one only.
    assert found == {one["urn"]: [one["id"]] for one in objects}
    assert {one["type"] for one in objects} == set(TYPES)
    project.succeed("destroy", changes=EVERYTHING)
    assert {kind: ids for kind, ids in names_and_ids(cloud).items() if ids} == {}


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed < 5 else [pytest.mark.long]) for seed in range(20)]
)
def test_the_next_up_finishes_a_first_up_that_was_killed_at_any_time(project: FullProject, seed: int) -> None:
    cloud = project.cloud
    kill_a_first_up(project, cloud, after=random.Random(seed).randint(1, 40))
    output = project.succeed("up", changes=EVERYTHING)
    made = names_and_ids(cloud)
    # The state contains each resource: none was created twice or orphaned.
    known = {part for id_ in project.objects() for part in (id_, *id_.replace(".", "#").split("#"))}
    assert {kind: sorted(set(ids) - known) for kind, ids in made.items() if set(ids) - known} == {}, output
    assert nothing_to_do(project.succeed("up", changes=EVERYTHING))
    cloud.clear_faults()
    project.succeed("destroy", changes=EVERYTHING)
    assert {kind: ids for kind, ids in names_and_ids(cloud).items() if ids} == {}
