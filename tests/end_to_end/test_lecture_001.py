"""What lecture 001 shows a reader: load balancing, and three failures, on its own timing (profile `seed`).

The lecture's log lines are compared as printed there: `[2020-10-14 14:01:51] notify_stop`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.end_to_end.group import Group
from tests.end_to_end.lab import Lab, wait_until
from tests.end_to_end.settings import write_settings

pytestmark = pytest.mark.root

NODES = ["iam-a", "iam-b"]
VIRTUAL_IP = "10.0.4.99"
LINE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] (notify_(?:master|backup|fault|stop))")
# Master down after 3 adverts of 1 s and a skew of up to 0.8 s; the check runs every 5 s; then the ARP delay of 1 s.
TAKE_OVER_S = 12


def ask(lab: Lab, domain: str, public_ip: str, *, times: int = 1) -> list[str]:
    """What a client on the internet is answered; a new connection for each request."""
    curl = f"curl --silent --insecure --max-time 3 --connect-to ::{public_ip} https://{domain}/healthz; echo"
    return lab.client("sh", "-c", f"for n in $(seq {times}); do {curl}; done", check=False).stdout.splitlines()


def requests_seen(lab: Lab, node: str, service: str) -> int:
    """How many /healthz requests from nginx the service's own log holds."""
    return int(lab.on(node, f"grep -c 'GET /healthz' /var/log/iam/{service}.log || true").strip() or 0)


@pytest.mark.parametrize(
    ("domain", "service"),
    [("iam.api.example.com", "iam-apiserver"), ("iam.authz.example.com", "iam-authz-server")],
)
def test_ten_requests_to_a_domain_are_five_on_each_node(deployed: Lab, domain: str, service: str) -> None:
    public_ip = deployed.outputs()["public_ip"]
    before = {node: requests_seen(deployed, node, service) for node in NODES}
    assert ask(deployed, domain, public_ip, times=10) == ['{"status":"ok"}'] * 10
    seen = {node: requests_seen(deployed, node, service) - before[node] for node in NODES}
    assert seen == {"iam-a": 5, "iam-b": 5}


@pytest.fixture(scope="module")
def seed(group: Group, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The same deployment, changed in place to the lecture's keepalived; and back afterwards."""
    settings = write_settings(tmp_path_factory.mktemp("seed") / "seed.yaml", keepalived={"profile": "seed"})
    with group.changed_to(settings) as lab:
        yield lab


class Watch:
    """What the three scenarios look at."""

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

        wait_until(masters, lambda seen: seen == [node], deadline_s=TAKE_OVER_S, what=f"{node} holds")

    def wait_until_answered(self) -> None:
        """The traffic through the EIP follows."""

        def answers() -> list[str]:
            return ask(self.lab, "iam.api.example.com", self.public_ip)

        right = ['{"status":"ok"}']
        wait_until(answers, lambda seen: seen == right, deadline_s=TAKE_OVER_S, what="answer through the EIP")

    def wait_until_logged(self, node: str, lines: list[str]) -> None:
        wait_until(
            lambda: self.new_lines(node),
            lambda seen: seen == lines,
            deadline_s=TAKE_OVER_S,
            what=f"log of {node}",
        )


def start_on_a(lab: Lab) -> None:
    """The lecture's starting point: 10.0.4.20 holds the address (restart of both, its priority is higher)."""
    for node in NODES:
        lab.on(node, "systemctl start nginx; systemctl stop keepalived")
    for node in NODES:
        lab.on(node, "systemctl start keepalived")
        if node == "iam-a":
            wait_until(
                lambda: lab.masters(VIRTUAL_IP, NODES),
                lambda seen: seen == ["iam-a"],
                deadline_s=TAKE_OVER_S,
                what="start",
            )
    # The second writes its first line (notify_backup) when it hears the master.
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


def test_scenarios_2_and_3_nginx_stopped_and_back_without_preemption(seed: Lab) -> None:
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
