"""What is watched, and who is told."""

from __future__ import annotations

import json

import pytest
from fake_cloud import Run
from program_runs import run, run_option

# On one worker, beside the one of the other runs: each run of the program is made once in a process.
pytestmark = pytest.mark.xdist_group("changes of the program")


def _watched(declared: Run, policy: str) -> list[dict[str, str]]:
    binding = declared.get(f"alarms-{policy}-binding").inputs
    assert binding["policyId"] == f"alarms-{policy}.id"
    return [json.loads(each["dimensionsJson"]) for each in binding["dimensions"]]


def _limits(declared: Run, policy: str) -> dict[str, str]:
    found = declared.get(f"alarms-{policy}").inputs
    assert (found["enable"], found["noticeIds"]) == (1, ["alarms-notice.id"])
    return {rule["metricName"]: f"{rule['value']} {rule['unit']}" for rule in found["conditions"]["rules"]}


def test_cpu_memory_and_disk_of_every_node_are_watched() -> None:
    declared = run_option("alarms")
    assert _limits(declared, "nodes") == {"CpuUsage": "90 %", "MemUsage": "90 %", "CvmDiskUsage": "85 %"}
    assert _watched(declared, "nodes") == [{"unInstanceId": f"nodes.iam-{name}.id"} for name in "ab"]


def test_traffic_of_every_public_address_is_watched() -> None:
    declared = run(
        "local",
        {
            "alarms": {"enabled": True, "receivers": {"userIds": [1]}, "trafficPercent": 50},
            "keepalived": {"mode": "dual-master"},
            "virtualIp.secondAddress": "10.0.4.98",
            "virtualIp.bandwidthMbps": 30,
        },
    )
    assert _limits(declared, "traffic") == {"VipOuttraffic": "15 Mbps"}
    assert _watched(declared, "traffic") == [{"eip": "vip-address.publicIp"}, {"eip": "vip2-address.publicIp"}]


def test_users_groups_and_call_backs_are_told_each_in_the_way_that_the_api_takes() -> None:
    notice = run_option("alarms").get("alarms-notice").inputs
    told = [(each["receiverType"], each.get("userIds"), each.get("groupIds")) for each in notice["userNotices"]]
    assert told == [("USER", [1], None), ("GROUP", None, [2])]
    assert [each["noticeWays"] for each in notice["userNotices"]] == [["EMAIL", "SMS"]] * 2
    assert [each["url"] for each in notice["urlNotices"]] == ["https://a.example.com/"]


def test_nothing_is_watched_unless_somebody_asked_for_it() -> None:
    assert not [each.name for each in run("local").resources if each.kind.startswith("Monitor/")]
