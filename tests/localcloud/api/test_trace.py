"""Recorded requests of the real provider get valid responses (terraform-provider-tencentcloud 1.82.42)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud.api.request_path import find_action, run_action
from localcloud.reconcile.cloud import Cloud
from localcloud.rules.catalog import IMAGES, Image
from localcloud.rules.refusal import ApiError
from tests.localcloud.api.lab import Direct, running_cloud, wait_until_settled
from tests.localcloud.api.place import Place
from tests.localcloud.api.replay import Translation, missing, recorded

# Images of the recording that localcloud does not offer.
_IMAGES = (*IMAGES, *(Image(name, "Ubuntu", "Ubuntu", "Ubuntu", 10) for name in ("img-487zeit5", "img-eb30mz89")))

# Members of the recorded responses that the official SDK's models lack: no client can read them.
_NOT_IN_THE_SDK = {
    ("CreateDisasterRecoverGroup", ".Affinity is not there"),
    ("DescribeInstancesAttributes", ".TotalCount is not there"),
    ("DescribeDisks", ".DiskSet[0].SnapshotId is not there"),
    ("DescribeTaskResult", ".Output is not there"),
}


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with running_cloud(images=_IMAGES) as running:
        yield running


class Player:
    """Replays recorded requests; collects rejections and missing members of the responses."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.translation = Translation()
        self.refused: list[str] = []
        self.missing: list[str] = []

    def play(self, line: dict[str, Any]) -> None:
        request_id = str(uuid.uuid4())
        try:
            action = find_action(line["service"], line["action"], line["version"])
            body = self.translation.request(line["body"])
            answer = run_action(
                self.cloud, action, body, region=line["region"], secret_id="recorded", request_id=request_id
            )
        except ApiError as error:
            self.refused.append(f"{line['n']} {line['action']}: {error}")
            return
        if line["service"] == "clb" and not line["action"].startswith("Describe"):
            self.translation.last_request_id = request_id
        self.translation.learn(line["response"], answer)
        # During removal the recording polls objects that are nearly deleted; here they are already deleted.
        gone = line["phase"] == "destroy"
        for fault in missing(line["response"], answer):
            if (line["action"], fault) not in _NOT_IN_THE_SDK and not (gone and "is empty" in fault):
                self.missing.append(f"{line['n']} {line['action']}: {fault}")
        wait_until_settled(self.cloud)


def test_every_recorded_request_succeeds_with_every_recorded_member(cloud: Cloud) -> None:
    player = Player(cloud)
    whole = [line for line in recorded() if line["phase"] != "replace-vip"]
    assert len(whole) == 609
    for line in whole:
        if line["action"] == "TerminateInstances":
            # One instance was recorded with its protection on; the recording's stub terminated it anyway.
            _unprotect(cloud)
        player.play(line)
    # The stub of the recording accepted a change from traffic to bandwidth by the hour, which the page forbids
    # (215/43849).
    assert [refused.partition(":")[0] for refused in player.refused] == ["327 ModifyAddressInternetChargeType"]
    assert player.missing == []
    assert cloud.status()["records"].keys() <= {"Task", "ClientToken", "Domain", "AddressLists", "AllocationDay"}


def _unprotect(cloud: Cloud) -> None:
    call = Direct(cloud)
    ids = [row["InstanceId"] for row in call("cvm:DescribeInstances")["InstanceSet"] if row["DisableApiTermination"]]
    if ids:
        call("cvm:ModifyInstancesAttribute", InstanceIds=ids, DisableApiTermination=False)


def test_the_recorded_replacement_of_a_havip_is_accepted(cloud: Cloud) -> None:
    """This part of the recording begins with resources that it does not create, so the test creates them."""
    call = Direct(cloud)
    place = Place.build(call)
    old = place.havip(Vip="10.0.4.100", CheckAssociate=True)
    machines = [place.machine(address=f"10.0.4.{number}") for number in (11, 12)]
    for instance_id in machines:
        call("vpc:AssociateHaVipInstance", HaVipAssociationSet=[{"HaVipId": old, "InstanceId": instance_id}])
    _, public_ip = place.eip()
    call("vpc:HaVipAssociateAddressIp", HaVipId=old, AddressIp=public_ip)
    call.settle()
    player = Player(cloud)
    player.translation.known |= {
        "vpc-p1m9jth2": place.vpc_id,
        "subnet-pkp7rqr6": place.subnet_id,
        "havip-r60qow4h": old,
        "ins-4dxevnlm": machines[0],
        "ins-9qrhz83m": machines[1],
        "203.0.113.55": public_ip,
    }
    lines = [line for line in recorded() if line["phase"] == "replace-vip"]
    assert len(lines) == 15
    for line in lines:
        if line["action"] == "CreateHaVip":
            line["body"]["Vip"] = "10.0.4.77"
        player.play(line)
    assert player.refused == []
    assert player.missing == []
