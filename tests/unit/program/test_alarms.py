"""Alarm policies, their bindings and their notice."""

from __future__ import annotations

import json

from fake_cloud import Run
from program_runs import run, run_option

# One worker, separate from the one of the other program runs: results are cached per process.


def _dimensions(declared: Run, policy: str) -> list[dict[str, str]]:
    binding = declared.get(f"alarms-{policy}-binding").inputs
    assert binding["policyId"] == f"alarms-{policy}.id"
    return [json.loads(each["dimensionsJson"]) for each in binding["dimensions"]]


def _limits(declared: Run, policy: str) -> dict[str, str]:
    found = declared.get(f"alarms-{policy}").inputs
    assert (found["enable"], found["noticeIds"]) == (1, ["alarms-notice.id"])
    return {rule["metricName"]: f"{rule['value']} {rule['unit']}" for rule in found["conditions"]["rules"]}


def test_cpu_memory_and_disk_of_all_nodes_are_monitored() -> None:
    declared = run_option("alarms")
    assert _limits(declared, "nodes") == {"CpuUsage": "90 %", "MemUsage": "90 %", "CvmDiskUsage": "85 %"}
    assert _dimensions(declared, "nodes") == [{"unInstanceId": f"nodes.iam-{name}.id"} for name in "ab"]


def test_events_that_the_cloud_observes_raise_an_alarm() -> None:
    declared = run_option("alarms")
    events = declared.get("alarms-nodes").inputs["eventConditions"]
    assert [each["metricName"] for each in events] == [
        "ping_unreachable", "guest_reboot", "instance_restarted", "guest_core_error", "guest_oom", "disk_readonly",
    ]  # fmt: skip
    assert "eventConditions" not in declared.get("alarms-traffic").inputs


def test_traffic_of_all_public_addresses_is_monitored() -> None:
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
    assert _dimensions(declared, "traffic") == [{"eip": "vip-address.publicIp"}, {"eip": "vip2-address.publicIp"}]


def test_users_groups_and_callback_urls_receive_alarms() -> None:
    declared = run_option("alarms").get("alarms-notice")
    notice = declared.inputs
    receivers = [(each["receiverType"], each.get("userIds"), each.get("groupIds")) for each in notice["userNotices"]]
    assert receivers == [("USER", [1], None), ("GROUP", None, [2])]
    assert [each["noticeWays"] for each in notice["userNotices"]] == [["EMAIL", "SMS"]] * 2
    assert [each["url"] for each in notice["urlNotices"]] == ["https://a.example.com/"]
    assert "urlNotices" in declared.secret_inputs, "a callback URL often contains a key"


def test_no_alarm_resources_are_created_by_default() -> None:
    assert not [each.name for each in run("local").resources if each.kind.startswith("Monitor/")]
