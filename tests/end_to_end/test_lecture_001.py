"""The demonstrations of lecture 001: load balancing and three failures, with the lecture's timing (profile `seed`).

The log lines have the format printed in the lecture: `[2020-10-14 14:01:51] notify_stop`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.group import Group, request_healthz, requests_seen
from tests.end_to_end.lab import Lab, wait_until
from tests.end_to_end.settings import write_settings

pytestmark = pytest.mark.root

NODES = ["iam-a", "iam-b"]
VIRTUAL_IP = "10.0.4.99"
LINE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] (notify_(?:master|backup|fault|stop))")
# 3 adverts of 1 s and a skew of up to 0.8 s until the master counts as down; a check interval of 5 s; 1 s ARP delay.
TAKE_OVER_S = 12


@pytest.mark.parametrize(
    ("domain", "service"),
    [("iam.api.example.com", "iam-apiserver"), ("iam.authz.example.com", "iam-authz-server")],
)
def test_ten_requests_to_a_domain_are_balanced_evenly(deployed: Lab, domain: str, service: str) -> None:
    public_ip = deployed.outputs()["public_ip"]
    before = {node: requests_seen(deployed, node, service) for node in NODES}
    assert request_healthz(deployed, domain, public_ip, times=10) == ['{"status":"ok"}'] * 10
    seen = {node: requests_seen(deployed, node, service) - before[node] for node in NODES}
    assert seen == {"iam-a": 5, "iam-b": 5}


@pytest.fixture(scope="module")
def seed(group: Group, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The deployment with the lecture's keepalived settings, changed in place and restored afterwards."""
    settings = write_settings(tmp_path_factory.mktemp("seed") / "seed.yaml", keepalived={"profile": "seed"})
    with group.changed_to(settings) as lab:
        yield lab


class Watch:
    """Observes the virtual IP, the responses and the keepalived logs from its creation on."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.public_ip = lab.outputs()["public_ip"]
        self.before = {node: self._log(node) for node in NODES}

    def _log(self, node: str) -> list[str]:
        return self.lab.on(node, "cat /var/log/keepalived.log 2>/dev/null || true").splitlines()

    def new_lines(self, node: str) -> list[str]:
        lines = self._log(node)[len(self.before[node]) :]
        return [match[1] if (match := LINE.fullmatch(line)) else line for line in lines]

    def wait_until_held_by(self, node: str) -> None:
        def masters() -> list[str]:
            return self.lab.masters(VIRTUAL_IP, NODES)

        wait_until(masters, lambda seen: seen == [node], deadline_s=TAKE_OVER_S, what=f"{node} holds the virtual IP")

    def wait_until_answered(self) -> None:
        """Wait until traffic through the EIP reaches the new master."""

        def answers() -> list[str]:
            return request_healthz(self.lab, "iam.api.example.com", self.public_ip)

        right = ['{"status":"ok"}']
        wait_until(answers, lambda seen: seen == right, deadline_s=TAKE_OVER_S, what="response through the EIP")

    def wait_until_logged(self, node: str, lines: list[str]) -> None:
        wait_until(
            lambda: self.new_lines(node),
            lambda seen: seen == lines,
            deadline_s=TAKE_OVER_S,
            what=f"{lines} in the log of {node}",
        )


def start_on_a(lab: Lab) -> None:
    """Restart keepalived on both nodes, so that 10.0.4.20 is master (higher priority), as the lecture starts."""
    for node in NODES:
        lab.on(node, "systemctl start nginx; systemctl stop keepalived")
    for node in NODES:
        lab.on(node, "systemctl start keepalived")
        if node == "iam-a":
            wait_until(
                lambda: lab.masters(VIRTUAL_IP, NODES),
                lambda seen: seen == ["iam-a"],
                deadline_s=TAKE_OVER_S,
                what="iam-a is master",
            )
    # The second node logs notify_backup when it receives the first advert of the master.
    wait_until(
        lambda: lab.on("iam-b", "tail -n 1 /var/log/keepalived.log"),
        lambda line: "notify_backup" in line,
        deadline_s=TAKE_OVER_S,
        what="iam-b is backup",
    )


def test_scenario_1_keepalived_stopped(seed: Lab) -> None:
    start_on_a(seed)
    watch = Watch(seed)
    seed.on("iam-a", "systemctl stop keepalived")
    watch.wait_until_held_by("iam-b")
    watch.wait_until_answered()
    watch.wait_until_logged("iam-a", ["notify_stop"])
    watch.wait_until_logged("iam-b", ["notify_master"])


def test_scenarios_2_and_3_nginx_stopped_and_restarted_without_preemption(seed: Lab) -> None:
    start_on_a(seed)
    watch = Watch(seed)
    seed.on("iam-a", "systemctl stop nginx")
    watch.wait_until_held_by("iam-b")
    watch.wait_until_answered()
    watch.wait_until_logged("iam-a", ["notify_fault"])
    watch.wait_until_logged("iam-b", ["notify_master"])

    recovered = Watch(seed)
    seed.on("iam-a", "systemctl start nginx")
    recovered.wait_until_logged("iam-a", ["notify_backup"])
    recovered.wait_until_held_by("iam-b")
    recovered.wait_until_answered()
    assert recovered.new_lines("iam-b") == []


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("keepalived", "returns"),
    [
        pytest.param({"profile": "fast"}, False, id="fast"),
        pytest.param({"profile": "balanced"}, False, id="balanced"),
        pytest.param({"profile": "fast", "mode": "preempt"}, True, id="preempt"),
        pytest.param({"profile": "fast", "mode": "delayed-preempt", "preemptDelayS": 5}, True, id="delayed preempt"),
    ],
)
def test_the_three_scenarios_in_the_other_profiles_and_modes(
    group: Group, tmp_path: Path, keepalived: dict[str, object], *, returns: bool
) -> None:
    with group.changed_to(write_settings(tmp_path / "profile.yaml", keepalived=keepalived)) as lab:
        start_on_a(lab)
        watch = Watch(lab)
        for unit in ("keepalived", "nginx"):
            lab.on("iam-a", f"systemctl stop {unit}")
            watch.wait_until_held_by("iam-b")
            watch.wait_until_answered()
            lab.on("iam-a", f"systemctl start {unit}")
            time.sleep(TAKE_OVER_S)
            watch.wait_until_held_by("iam-a" if returns else "iam-b")
            watch.wait_until_answered()
            if not returns and unit == "keepalived":
                start_on_a(lab)
