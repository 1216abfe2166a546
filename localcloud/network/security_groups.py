"""Security groups, reduced to the accepted packets: the first match decides, and packets without a match are dropped.

An ordered list of rules becomes disjoint boxes (addresses x ports), looked up in nftables interval sets. Their cost
does not grow with the number of rules: 1,000 linear rules cost 39 % of new connections (measured).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from localcloud.infrastructure import IpProtocol, Rule

_ALL_PORTS = ((0, 65535),)

Span = tuple[int, int]
Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """Addresses from `low` to `high`, and their open ports."""

    low: IPv4Address
    high: IPv4Address
    ports: Spans


@dataclass(frozen=True, slots=True)
class Accepted:
    """Packets that an interface accepts in one direction. `other`: every protocol without a separate class."""

    tcp: tuple[Box, ...]
    udp: tuple[Box, ...]
    icmp: tuple[Box, ...]
    gre: tuple[Box, ...]
    other: tuple[Box, ...]


def accepted(rules: Sequence[Rule]) -> Accepted:
    """Return the packets that these rules accept, in this order."""
    return Accepted(
        tcp=_boxes(rules, "TCP"),
        udp=_boxes(rules, "UDP"),
        icmp=_boxes(rules, "ICMP"),
        gre=_boxes(rules, "GRE"),
        other=_boxes(rules, None),
    )


def _boxes(rules: Sequence[Rule], protocol: IpProtocol | None) -> tuple[Box, ...]:
    relevant = [rule for rule in rules if rule.protocol in {"ALL", protocol}]
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for number, rule in enumerate(relevant):
        for peer in rule.peers:
            starts.setdefault(int(peer.network_address), []).append(number)
            ends.setdefault(int(peer.broadcast_address) + 1, []).append(number)
    points = sorted({*starts, *ends})
    covering: dict[int, int] = {}  # rule -> number of its peers that cover the present addresses
    boxes: list[Box] = []
    for index, point in enumerate(points[:-1]):
        for number in ends.get(point, ()):
            covering[number] -= 1
            if not covering[number]:
                del covering[number]
        for number in starts.get(point, ()):
            covering[number] = covering.get(number, 0) + 1
        ports = _open_ports(relevant[number] for number in sorted(covering))
        if not ports:
            continue
        high = points[index + 1] - 1
        if boxes and int(boxes[-1].high) + 1 == point and boxes[-1].ports == ports:
            boxes[-1] = Box(boxes[-1].low, IPv4Address(high), ports)
        else:
            boxes.append(Box(IPv4Address(point), IPv4Address(high), ports))
    return tuple(boxes)


def _open_ports(rules: Iterable[Rule]) -> Spans:
    undecided: Spans = _ALL_PORTS
    opened: list[Span] = []
    for rule in rules:
        taken = _intersection(undecided, _merged(rule.ports) if rule.ports else _ALL_PORTS)
        if rule.verdict == "ACCEPT":
            opened += taken
        undecided = _difference(undecided, taken)
        if not undecided:
            break
    return _merged(opened)


def _merged(spans: Iterable[Span]) -> Spans:
    result: list[Span] = []
    for low, high in sorted(spans):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return tuple(result)


def _intersection(left: Spans, right: Spans) -> Spans:
    return tuple(
        (max(low, other_low), min(high, other_high))
        for low, high in left
        for other_low, other_high in right
        if max(low, other_low) <= min(high, other_high)
    )


def _difference(left: Spans, right: Spans) -> Spans:
    remaining = list(left)
    for other_low, other_high in right:
        cut: list[Span] = []
        for low, high in remaining:
            if other_high < low or high < other_low:
                cut.append((low, high))
                continue
            if low < other_low:
                cut.append((low, other_low - 1))
            if other_high < high:
                cut.append((other_high + 1, high))
        remaining = cut
    return tuple(remaining)
