"""What a team does with a deployed group: look at it, review a change, take a node out of service."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.group import NODES, VIRTUAL_IP
from tests.end_to_end.lab import ROOT, Lab, wait_until


def status(lab: Lab) -> dict[str, Any]:
    return json.loads(lab.operator("tandem", "status", "--json", "--stack", "local", check=False).stdout)


def test_the_status_names_the_master_since_when_the_units_and_the_last_rollout(deployed: Lab) -> None:
    found = status(deployed)
    (held,) = found["virtual_ips"]
    assert held["address"] == VIRTUAL_IP
    ((master, since),) = held["held_by"].items()
    assert [master] == deployed.masters(VIRTUAL_IP, list(NODES))
    assert 0 < since < time.time()
    assert held["havip_follows"] == master
    for node in found["nodes"]:
        assert node["error"] == ""
        assert node["units"]
        assert all(node["units"].values()), node["units"]
        assert {"nginx", "keepalived"} <= node["packages"].keys()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", node["versions"]["current"]["at"])
        assert "@" in node["versions"]["current"]["by"]
        assert node["traffic"]["requests"] >= 0
    assert {result["level"] for result in found["health"]} <= {"ok", "warning"}
    assert "Stack local: revision" in deployed.tandem("status")


def test_the_logs_of_both_nodes_are_merged_by_time(deployed: Lab) -> None:
    for number, node in enumerate(NODES):
        deployed.on(node, f"logger -t tandem-test 'mark {number}'; systemctl reload nginx")
    lines = deployed.tandem("logs", "--since", "-5min", "--lines", "2000").splitlines()
    assert lines == sorted(lines, key=lambda line: line[:23])
    marks = [line for line in lines if "tandem-test: mark" in line]
    assert [line.split()[2] for line in marks] == list(NODES)
    nginx = deployed.tandem("logs", NODES[0], "nginx").splitlines()
    assert nginx
    assert {line.split()[2] for line in nginx} == {NODES[0]}


def test_followed_logs_show_what_both_nodes_write_from_then_on(deployed: Lab) -> None:
    deployed.on(NODES[0], "logger -t tandem-test 'before'")
    with deployed.started("tandem", "logs", "--follow", "--since", "-5min", "--stack", "local") as lines:
        while "tandem-test: before" not in next(lines):
            continue  # until the first lines of both nodes are read
        for node in NODES:
            deployed.on(node, "logger -t tandem-test 'followed'")
        found: set[str] = set()
        while found != set(NODES):
            line = next(lines)
            if "tandem-test: followed" in line:
                found.add(line.split()[2])


@pytest.mark.long
def test_the_live_status_counts_requests_and_errors(deployed: Lab) -> None:
    public_ip = deployed.outputs()["public_ip"]
    (master,) = deployed.masters(VIRTUAL_IP, list(NODES))
    url = f"curl -sk -o /dev/null -m 2 --connect-to ::{public_ip} https://iam.authz.example.com/"
    ask = ("sh", "-c", f"for n in $(seq 15); do {url}; done")

    def counts(lines: Iterator[str], key: str) -> bool:
        nodes = {node["name"]: node for node in json.loads(next(lines))["nodes"]}
        return nodes[master].get("traffic", {}).get(key, 0) > 0  # a busy node may not answer once

    with deployed.started("tandem", "status", "--watch", "--json", "--stack", "local") as lines:
        assert json.loads(next(lines))["health"] is None
        deployed.client(*ask)
        wait_until(lambda: counts(lines, "requests"), bool, deadline_s=60, what="requests are counted")
        try:
            for node in NODES:
                deployed.on(node, "systemctl stop iam-authz-server")
            deployed.client(*ask)
            wait_until(lambda: counts(lines, "errors"), bool, deadline_s=60, what="errors are counted")
        finally:
            for node in NODES:
                deployed.on(node, "systemctl start iam-authz-server")
    wait_until(lambda: deployed.operator("tandem", "health", "--stack", "local", check=False).returncode, (0).__eq__,
               deadline_s=60, what="healthy group")  # fmt: skip


def test_a_command_runs_on_a_node_over_ssh_with_its_exit_code(deployed: Lab) -> None:
    done = deployed.operator("tandem", "ssh", NODES[1], "--", "hostname; exit 7", check=False)
    assert (done.returncode, done.stdout) == (7, f"{NODES[1]}\n")


def test_a_plan_shows_a_line_that_was_edited_by_hand_and_changes_nothing(deployed: Lab) -> None:
    file = "/etc/nginx/nginx.conf"
    deployed.on(NODES[1], f"sed -i 's/keepalive_timeout .*/keepalive_timeout 1s;/' {file}")
    try:
        plans = {each["node"]: each for each in json.loads(deployed.tandem("plan", "--json"))}
        assert plans[NODES[0]]["changes"] == []
        assert f"{file}: content differs" in plans[NODES[1]]["changes"]
        assert "  -    keepalive_timeout 1s;" in plans[NODES[1]]["changes"]
        assert "keepalive_timeout 1s" in deployed.on(NODES[1], f"cat {file}")
    finally:
        deployed.up()
    assert all(not each["changes"] for each in json.loads(deployed.tandem("plan", "--json")))


def test_the_comment_of_a_pull_request_has_the_changed_line_once_for_both_nodes(deployed: Lab, tmp_path: Path) -> None:
    settings = yaml.safe_load((ROOT / "stacks" / "Pulumi.local.yaml").read_text())
    settings["config"].setdefault("tandem:nginx", {})["keepaliveTimeoutS"] = 29
    file = tmp_path / "Pulumi.local.yaml"
    file.write_text(yaml.safe_dump(settings))
    comment = deployed.tandem("preview", "--markdown", "--config-file", str(file))
    assert comment.startswith("<!-- tandem preview of stack local -->\n")
    assert re.search(r"\| `~` \| `rollout` \| `tandem:Rollout` \| `files`", comment)
    assert "<code>/etc/nginx/nginx.conf</code> on iam-a, iam-b" in comment
    assert comment.count("+    keepalive_timeout 29s;") == 1
    unchanged = deployed.tandem("preview", "--markdown")
    assert "### Preview of stack `local`: no changes, " in unchanged


def test_a_drained_node_gets_no_requests_until_it_is_put_back(deployed: Lab) -> None:
    (master,) = deployed.masters(VIRTUAL_IP, list(NODES))
    (peer,) = set(NODES) - {master}
    assert f"{master} is out of service" in deployed.tandem("drain", master, "--minutes", "5")
    try:
        assert deployed.masters(VIRTUAL_IP, list(NODES)) == [peer]
        conf = deployed.on(peer, "cat /etc/nginx/conf.d/upstreams.conf")
        assert " down" in conf
        timers = deployed.on(master, "systemctl list-timers --all --no-legend tandem-put-back.timer")
        assert "tandem-put-back" in timers
    finally:
        deployed.tandem("undrain", master)
    assert " down" not in deployed.on(peer, "cat /etc/nginx/conf.d/upstreams.conf")
    assert deployed.masters(VIRTUAL_IP, list(NODES)) == [peer]
    assert all(not each["changes"] for each in json.loads(deployed.tandem("plan", "--json")))


def test_the_report_is_written_with_the_topology_and_the_last_changes(deployed: Lab, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    deployed.tandem("report", "--output", str(file))
    page = file.read_text()
    assert "<svg" in page
    assert "HAVIP 10.0.4.99" in page
    assert "virtual IP 10.0.4.99" in page


def test_the_doctor_finds_nothing_to_change(deployed: Lab) -> None:
    done = deployed.operator("tandem", "doctor", "--stack", "local", check=False)
    assert done.returncode == 0, done.stdout
    assert "img-services" in done.stdout
