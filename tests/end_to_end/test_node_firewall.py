"""Each node's own packet filter, with real packets between two real nodes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.lab import Lab, wait_until

ADDRESS = {"iam-a": "10.0.4.20", "iam-b": "10.0.4.21"}
VIRTUAL_IP = "10.0.4.99"
NODES = list(ADDRESS)
# Not in the rules, though something listens: SSH, and the services' own HTTPS, which nginx does not use.
CLOSED = ["22", "8443", "9443"]
pytestmark = pytest.mark.root


def connects(lab: Lab, source: str, target: str, port: str) -> bool:
    script = f"timeout 1 bash -c '</dev/tcp/{ADDRESS[target]}/{port}' 2>/dev/null && echo yes || echo no"
    return lab.on(source, script).strip() == "yes"


@pytest.fixture
def mended(deployed: Lab) -> Iterator[Lab]:
    """Whatever a test did to the rules, they are as they were afterwards."""
    yield deployed
    for node in NODES:
        deployed.on(node, "systemctl restart tandem-firewall")
    wait_until(lambda: deployed.masters(VIRTUAL_IP, NODES), lambda seen: len(seen) == 1, deadline_s=15, what="healed")


@pytest.mark.parametrize(
    ("source", "target", "ports"),
    [
        ("iam-b", "iam-a", ["80", "443", "8080", "9090", "3306", "6379"]),
        ("iam-a", "iam-b", ["80", "443", "8080", "9090"]),
    ],
)
def test_what_a_node_offers_is_reached_from_the_other_one(
    deployed: Lab, source: str, target: str, ports: list[str]
) -> None:
    assert {port: connects(deployed, source, target, port) for port in ports} == dict.fromkeys(ports, True)


@pytest.mark.parametrize("port", CLOSED)
def test_a_port_that_nobody_named_is_closed_to_the_other_node_by_these_rules_alone(mended: Lab, port: str) -> None:
    assert not connects(mended, "iam-b", "iam-a", port)
    mended.on("iam-a", "systemctl stop tandem-firewall")
    assert connects(mended, "iam-b", "iam-a", port)


def test_a_pair_whose_heartbeats_are_dropped_splits_and_comes_together_again(mended: Lab) -> None:
    """Seed 003, 脑裂: a firewall that stops the heartbeats. It is the one rule that must never be missing."""
    assert len(mended.masters(VIRTUAL_IP, NODES)) == 1
    for node in NODES:
        mended.on(node, "nft insert rule inet tandem from_nodes ip protocol 112 drop")
    wait_until(lambda: mended.masters(VIRTUAL_IP, NODES), NODES.__eq__, deadline_s=15, what="the pair splits")
    for node in NODES:
        mended.on(node, "systemctl reload tandem-firewall")
    wait_until(lambda: mended.masters(VIRTUAL_IP, NODES), lambda seen: len(seen) == 1, deadline_s=15, what="one again")


def test_the_rules_are_there_after_the_systems_own_firewall_was_started_anew(mended: Lab) -> None:
    # More often in a short time than systemd would start a unit that says nothing of it.
    mended.on(
        "iam-a",
        "for n in 1 2 3 4 5 6 7; do systemctl restart tandem-firewall || exit 1; done; systemctl restart nftables",
    )
    assert "from_nodes" in mended.on("iam-a", "nft list ruleset")
    mended.on("iam-a", "systemctl reload nftables; systemctl is-active tandem-firewall")
    assert "from_nodes" in mended.on("iam-a", "nft list ruleset")
    mended.on("iam-a", "systemctl stop nftables; systemctl start tandem-firewall")
