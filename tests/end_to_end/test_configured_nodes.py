"""Nodes that a company has configured: sudo, sshd and packet filters with other settings than those of the image."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from tests.end_to_end.lab import CommandError, Lab, wait_until

pytestmark = [pytest.mark.root, pytest.mark.long]

_RESOLVERS = "183.60.83.19, 183.60.82.98"
# As security agents and OpenSSH's PerSourcePenalties do: who connects too often is refused for two minutes.
_LIMIT = """
table inet company {
    set refused { type ipv4_addr; timeout 120s; flags dynamic; }
    chain input {
        type filter hook input priority -10; policy accept;
        tcp dport 22 ct state new ip saddr @refused drop
        tcp dport 22 ct state new limit rate over 30/minute burst 5 packets add @refused { ip saddr } drop
    }
}
"""
# Like ufw: SSH and what belongs to connections of this node only.
_DEFAULT_DENY = """
table inet company {
    chain input {
        type filter hook input priority 10; policy drop;
        iifname lo accept
        ct state established,related accept
        tcp dport { 22, 80, 443, 8080, 9090 } accept
    }
}
"""


def health(lab: Lab) -> tuple[int, str]:
    result = lab.operator("tandem", "health", "--stack", "local", check=False)
    return result.returncode, result.stdout + result.stderr


@contextmanager
def packet_filter(lab: Lab, node: str, rules: str) -> Generator[None]:
    lab.on(node, f"cat > /root/company.nft <<'END'\n{rules}\nEND\nnft -f /root/company.nft")
    try:
        yield
    finally:
        lab.on(node, "nft delete table inet company; rm /root/company.nft")


def change(lab: Lab) -> None:
    """Give the next `up` something to repair."""
    lab.on("iam-b", "sed -i s/4096/77/ /etc/nginx/nginx.conf")


def is_repaired(lab: Lab) -> bool:
    return "4096" in lab.on("iam-b", "grep worker_connections /etc/nginx/nginx.conf")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("Defaults requiretty", "must have a tty", id="a terminal"),
        pytest.param("debian ALL=(ALL) PASSWD: ALL", "a password is required", id="a password"),
    ],
)
def test_a_sudo_that_wants_more_is_reported_with_its_own_words_and_the_remedy(
    deployed: Lab, line: str, reason: str
) -> None:
    user = deployed.outputs()["nodes"][1]["user"]
    # The last matching line of sudoers wins.
    deployed.on("iam-b", f"echo '{line.replace('debian', user)}' > /etc/sudoers.d/zz-company")
    try:
        code, seen = health(deployed)
        assert code == 1
        assert reason in seen
        change(deployed)
        with pytest.raises(CommandError) as caught:
            deployed.up()
        assert reason in str(caught.value)
        assert "needs NOPASSWD, and no requiretty" in str(caught.value)
    finally:
        deployed.on("iam-b", "rm /etc/sudoers.d/zz-company")
    deployed.up()
    assert is_repaired(deployed)


def test_a_login_that_waits_for_dead_resolvers_is_slower_and_works(deployed: Lab) -> None:
    rules = f"""table inet company {{ chain output {{ type filter hook output priority 0;
        ip daddr {{ {_RESOLVERS} }} drop }} }}"""
    with packet_filter(deployed, "iam-b", rules):
        deployed.on("iam-b", "echo 'UseDNS yes' > /etc/ssh/sshd_config.d/00-company.conf; systemctl reload ssh")
        try:
            change(deployed)
            deployed.up()
            assert is_repaired(deployed)
            assert health(deployed)[0] == 0
        finally:
            deployed.on("iam-b", "rm /etc/ssh/sshd_config.d/00-company.conf; systemctl reload ssh")


def test_a_node_that_limits_logins_does_not_lock_the_operator_out(deployed: Lab) -> None:
    with packet_filter(deployed, "iam-b", _LIMIT):
        deployed.localcloud("fault", "iam-b", "power-off")
        rollout = threading.Thread(target=lambda: deployed.operator("tandem", "up", "--stack", "local", check=False))
        rollout.start()
        time.sleep(10)  # the operator tries to log in meanwhile
        deployed.localcloud("fault", "iam-b", "power-on")
        rollout.join()
        deployed.on("iam-b", f"cat > /root/company.nft <<'END'\n{_LIMIT}\nEND\nnft -f /root/company.nft")
        change(deployed)
        deployed.up()
        assert is_repaired(deployed)
        assert "elements" not in deployed.on("iam-b", "nft list set inet company refused")


def test_a_socket_activated_ssh_stays_reachable_and_unchanged(deployed: Lab) -> None:
    deployed.on("iam-b", "systemctl disable --now ssh.service; systemctl enable --now ssh.socket")
    try:
        deployed.up()
        change(deployed)
        deployed.up()
        assert is_repaired(deployed)
        deployed.localcloud("fault", "iam-b", "power-off")
        deployed.localcloud("fault", "iam-b", "power-on")
        wait_until(lambda: health(deployed), lambda seen: seen[0] == 0, deadline_s=90, what="health after the boot")
        assert re.search(r"Resources:\n\s+\d+ unchanged\n", deployed.up())
        assert deployed.on("iam-b", "systemctl is-active ssh.socket", check=False).strip() == "active"
    finally:
        deployed.on("iam-b", "systemctl disable --now ssh.socket; systemctl enable --now ssh.service")


def test_a_foreign_packet_filter_that_drops_vrrp_is_named(deployed: Lab) -> None:
    with packet_filter(deployed, "iam-b", _DEFAULT_DENY):
        code, seen = wait_until(
            lambda: health(deployed), lambda seen: seen[0] == 1, deadline_s=60, what="health that fails"
        )
        text = " ".join(seen.split())
        assert code == 1
        assert "10.0.4.99 is held by iam-a and iam-b" in text
        assert "nft list ruleset on both" in text
        assert "chain input of the table inet company drops what it does not accept" in text
    wait_until(lambda: health(deployed), lambda seen: seen[0] == 0, deadline_s=60, what="the group is healthy again")


def test_packages_that_are_reinstalled_on_both_nodes_together_leave_one_master(deployed: Lab) -> None:
    """What unattended-upgrades would do. The hours of the upgrades differ (apt-upgrade-time.conf)."""
    command = "DEBIAN_FRONTEND=noninteractive apt-get install --reinstall -q -y -o Dpkg::Options::=--force-confold "
    deployed.on("iam-a", "apt-get update -q")
    deployed.on("iam-b", "apt-get update -q")
    threads = [
        threading.Thread(target=deployed.on, args=(node, command + "keepalived nginx")) for node in ("iam-a", "iam-b")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(
        lambda: deployed.masters("10.0.4.99", ["iam-a", "iam-b"]),
        lambda masters: len(masters) == 1,
        deadline_s=30,
        what="one master",
    )
    wait_until(lambda: health(deployed), lambda seen: seen[0] == 0, deadline_s=60, what="health")
    assert re.search(r"Resources:\n\s+\d+ unchanged\n", deployed.up())
