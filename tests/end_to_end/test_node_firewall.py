"""The packet filter of each node, tested with connections between two nodes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.lab import Lab, wait_until

ADDRESS = {"iam-a": "10.0.4.20", "iam-b": "10.0.4.21"}
VIRTUAL_IP = "10.0.4.99"
NODES = list(ADDRESS)
# Ports with a listener and without a rule: SSH, and the HTTPS ports of the services, which nginx does not use.
CLOSED = ["22", "8443", "9443"]
pytestmark = pytest.mark.root


def connects(lab: Lab, source: str, target: str, port: str) -> bool:
    script = f"timeout 1 bash -c '</dev/tcp/{ADDRESS[target]}/{port}' 2>/dev/null && echo yes || echo no"
    return lab.on(source, script).strip() == "yes"


@pytest.fixture
def restored(deployed: Lab) -> Iterator[Lab]:
    """Restores the rules of all nodes after the test."""
    yield deployed
    for node in NODES:
        deployed.on(node, "systemctl restart tandem-firewall")
    wait_until(
        lambda: deployed.masters(VIRTUAL_IP, NODES),
        lambda seen: len(seen) == 1,
        deadline_s=15,
        what="one master after the restart of the firewall",
    )


@pytest.mark.parametrize(
    ("source", "target", "ports"),
    [
        ("iam-b", "iam-a", ["80", "443", "8080", "9090", "3306", "6379"]),
        ("iam-a", "iam-b", ["80", "443", "8080", "9090"]),
    ],
)
def test_the_open_ports_of_a_node_are_reachable_from_the_other_node(
    deployed: Lab, source: str, target: str, ports: list[str]
) -> None:
    assert {port: connects(deployed, source, target, port) for port in ports} == dict.fromkeys(ports, True)


@pytest.mark.parametrize("port", CLOSED)
def test_a_port_without_a_rule_is_closed_to_the_other_node_only_by_the_node_firewall(restored: Lab, port: str) -> None:
    assert not connects(restored, "iam-b", "iam-a", port)
    restored.on("iam-a", "systemctl stop tandem-firewall")
    assert connects(restored, "iam-b", "iam-a", port)


def test_dropped_heartbeats_cause_a_split_brain_that_ends_with_a_reload_of_the_rules(restored: Lab) -> None:
    """Lecture 003, 脑裂: a firewall that drops the heartbeats causes a split brain."""
    assert len(restored.masters(VIRTUAL_IP, NODES)) == 1
    for node in NODES:
        restored.on(node, "nft insert rule inet tandem from_nodes ip protocol 112 drop")
    wait_until(lambda: restored.masters(VIRTUAL_IP, NODES), NODES.__eq__, deadline_s=15, what="split brain")
    for node in NODES:
        restored.on(node, "systemctl reload tandem-firewall")
    wait_until(
        lambda: restored.masters(VIRTUAL_IP, NODES), lambda seen: len(seen) == 1, deadline_s=15, what="one master again"
    )


def test_the_rules_survive_restarts_of_nftables(restored: Lab) -> None:
    # More restarts in a short time than systemd's default start limit allows.
    restored.on(
        "iam-a",
        "for n in 1 2 3 4 5 6 7; do systemctl restart tandem-firewall || exit 1; done; systemctl restart nftables",
    )
    assert "from_nodes" in restored.on("iam-a", "nft list ruleset")
    restored.on("iam-a", "systemctl reload nftables; systemctl is-active tandem-firewall")
    assert "from_nodes" in restored.on("iam-a", "nft list ruleset")
    restored.on("iam-a", "systemctl stop nftables; systemctl start tandem-firewall")
