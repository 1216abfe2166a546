"""Security groups as sets: for any rules, the sets give the same verdict as evaluating the rules in order."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv4Network

from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.infrastructure import IpProtocol, Rule
from localcloud.network.security_groups import Accepted, Box, accepted


def _network(address: IPv4Address, length: int) -> IPv4Network:
    return IPv4Network((address, length), strict=False)


# Few and close addresses, because rules that do not overlap prove nothing.
_addresses = st.integers(0, 40).map(lambda number: IPv4Address((10 << 24) + number * 4))
_networks = st.one_of(
    st.builds(_network, _addresses, st.integers(24, 32)),
    st.just(IPv4Network("0.0.0.0/0")),
)
_ports = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)).map(lambda pair: (pair[0], sum(pair))), max_size=3)
_protocols: st.SearchStrategy[IpProtocol] = st.sampled_from(["TCP", "UDP", "ICMP", "GRE", "ALL"])


@st.composite
def _rules(draw: st.DrawFn) -> Rule:
    protocol = draw(_protocols)
    ports = tuple(draw(_ports)) if protocol in {"TCP", "UDP"} else ()
    return Rule(
        draw(st.sampled_from(["ACCEPT", "DROP"])), protocol, ports, tuple(draw(st.lists(_networks, max_size=3)))
    )


def _by_order(rules: list[Rule], protocol: str, address: IPv4Address, port: int) -> bool:
    for rule in rules:
        if rule.protocol not in {"ALL", protocol} or not any(address in peer for peer in rule.peers):
            continue
        if rule.ports and not any(low <= port <= high for low, high in rule.ports):
            continue
        return rule.verdict == "ACCEPT"
    return False


def _by_sets(found: Accepted, protocol: str, address: IPv4Address, port: int) -> bool:
    boxes: tuple[Box, ...] = getattr(found, protocol.lower())
    return any(box.low <= address <= box.high and any(low <= port <= high for low, high in box.ports) for box in boxes)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(_rules(), max_size=12),
    st.sampled_from(["TCP", "UDP", "ICMP", "GRE", "OTHER"]),
    st.integers(0, 200).map(lambda number: IPv4Address((10 << 24) + number)),
    st.integers(0, 45),
)
def test_the_sets_give_the_verdict_of_the_first_matching_rule(
    rules: list[Rule], protocol: str, address: IPv4Address, port: int
) -> None:
    assert _by_sets(accepted(rules), protocol, address, port) is _by_order(rules, protocol, address, port)


@settings(max_examples=100, deadline=None)
@given(st.lists(_rules(), max_size=12))
def test_no_two_boxes_overlap(rules: list[Rule]) -> None:
    # nftables rejects a set whose intervals overlap.
    for protocol in ("tcp", "udp", "icmp", "gre", "other"):
        boxes: tuple[Box, ...] = getattr(accepted(rules), protocol)
        for before, after in itertools.pairwise(boxes):
            assert before.high < after.low


def test_many_rules_of_one_verdict_are_one_interval() -> None:
    rules = [
        Rule("ACCEPT", "TCP", ((80, 80),), (IPv4Network((int(IPv4Address("10.0.0.0")) + n, 32)),)) for n in range(256)
    ]
    assert accepted(rules).tcp == (Box(IPv4Address("10.0.0.0"), IPv4Address("10.0.0.255"), ((80, 80),)),)
