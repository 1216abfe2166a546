"""The VPC's guard against false addresses. Every case sends real frames from inside a machine."""

from __future__ import annotations

import time

import pytest

from .frames import BROADCAST, arp, gratuitous, udp
from .lab import HAVIP, PLACES, Lab, wait_until

pytestmark = pytest.mark.root

ANN, BOB, CAT = PLACES["ann"], PLACES["bob"], PLACES["cat"]
GATEWAY = "10.0.4.1"
UNUSED = "10.0.4.77"


def _arrives(lab: Lab, frame: bytes, *, sender: str = "ann", receiver: str = "bob") -> bool:
    """Whether a frame sent by one machine reaches the other. A control frame proves that the listener works."""
    place = PLACES[sender]
    control = gratuitous(place.mac, place.address)
    with lab.listening(receiver, 0.2) as seen:
        lab.send(sender, frame, control)
    assert any(each[:42] == control[:42] for each in seen), "the control frame did not arrive"
    return any(each[: len(frame)] == frame or each[:42] == frame[:42] for each in seen)


@pytest.mark.parametrize("operation", [pytest.param(1, id="request form"), pytest.param(2, id="reply form")])
def test_a_machine_may_announce_its_own_address(lab: Lab, operation: int) -> None:
    frame = gratuitous(CAT.mac, CAT.address, operation=operation)
    with lab.listening("bob", 0.2) as seen:
        lab.send("cat", frame)
    assert frame in seen


@pytest.mark.parametrize("operation", [pytest.param(1, id="request form"), pytest.param(2, id="reply form")])
def test_a_machine_may_announce_a_havip_it_is_attached_to(lab: Lab, operation: int) -> None:
    lab.run("bob", "ip", "address", "replace", f"{HAVIP}/32", "dev", "eth0")
    lab.send("bob", gratuitous(BOB.mac, HAVIP, operation=operation))
    wait_until(lambda: lab.holder() == BOB.instance_id, "bob holds the HAVIP")


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(gratuitous(ANN.mac, UNUSED), id="an ordinary address, request form: lecture 001's warning"),
        pytest.param(gratuitous(ANN.mac, UNUSED, operation=2), id="an ordinary address, reply form"),
        pytest.param(gratuitous(ANN.mac, GATEWAY), id="the gateway's address"),
        pytest.param(gratuitous(ANN.mac, GATEWAY, operation=2), id="the gateway's address, reply form"),
        pytest.param(gratuitous(ANN.mac, CAT.address), id="a neighbour's address"),
        pytest.param(
            arp(ANN.mac, CAT.address, BOB.address, operation=2, ether_target=BOB.mac),
            id="a neighbour's address, unicast",
        ),
        pytest.param(
            arp(ANN.mac, GATEWAY, BOB.address, operation=2, ether_target=BOB.mac),
            id="the gateway's address, unicast",
        ),
        pytest.param(gratuitous(ANN.mac, "10.0.4.98"), id="a HAVIP that another machine may hold"),
        pytest.param(gratuitous(CAT.mac, HAVIP, ether_source=ANN.mac), id="a HAVIP at a foreign MAC"),
        pytest.param(gratuitous(CAT.mac, ANN.address, ether_source=ANN.mac), id="its own address at a foreign MAC"),
        pytest.param(gratuitous(ANN.mac, ANN.address, ether_source=CAT.mac), id="in a frame of a foreign MAC"),
        pytest.param(gratuitous(ANN.mac, ANN.address, hardware=6), id="hardware type 6"),
        pytest.param(gratuitous(ANN.mac, ANN.address, protocol=0x86DD), id="protocol type IPv6"),
        pytest.param(arp(ANN.mac, "10.0.5.20", "10.0.4.21"), id="an address of another subnet"),
        pytest.param(arp(ANN.mac, "169.254.0.23", "10.0.4.21", operation=2), id="the metadata service's address"),
    ],
)
def test_an_announcement_of_a_foreign_address_is_dropped_silently(lab: Lab, frame: bytes) -> None:
    assert not _arrives(lab, frame)


def test_a_duplicate_address_probe_passes_because_it_claims_no_address(lab: Lab) -> None:
    assert _arrives(lab, arp(ANN.mac, "0.0.0.0", UNUSED))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(udp(ANN.mac, BOB.mac, CAT.address, BOB.address), id="a neighbour's address"),
        pytest.param(udp(ANN.mac, BOB.mac, UNUSED, BOB.address), id="an unused address of the subnet"),
        pytest.param(udp(ANN.mac, BOB.mac, "203.0.113.9", BOB.address), id="a public address"),
        pytest.param(udp(ANN.mac, BOB.mac, "10.0.4.98", BOB.address), id="a HAVIP that it may not hold"),
        pytest.param(udp(CAT.mac, BOB.mac, ANN.address, BOB.address), id="its own address from a foreign MAC"),
        pytest.param(udp(ANN.mac, BOB.mac, "127.0.0.1", BOB.address), id="the loopback address"),
    ],
)
def test_a_packet_from_a_false_source_is_dropped(lab: Lab, frame: bytes) -> None:
    assert not _arrives(lab, frame)


def test_a_packet_from_the_own_address_passes(lab: Lab) -> None:
    assert _arrives(lab, udp(ANN.mac, BOB.mac, ANN.address, BOB.address))


def test_a_packet_from_a_havip_passes_if_the_sender_may_hold_it(lab: Lab) -> None:
    assert _arrives(lab, udp(ANN.mac, BOB.mac, HAVIP, BOB.address))


def test_a_packet_from_a_havip_is_dropped_if_the_sender_may_not_hold_it(lab: Lab) -> None:
    assert not _arrives(lab, udp(CAT.mac, BOB.mac, HAVIP, BOB.address), sender="cat")


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(udp(ANN.mac, "01:00:5e:00:00:12", ANN.address, "224.0.0.18", protocol=112), id="multicast VRRP"),
        pytest.param(udp(ANN.mac, "01:00:5e:00:00:fb", ANN.address, "224.0.0.251"), id="multicast DNS"),
        pytest.param(udp(ANN.mac, BOB.mac, ANN.address, "224.0.0.18", protocol=112), id="multicast in a unicast frame"),
        pytest.param(udp(ANN.mac, BROADCAST, ANN.address, "255.255.255.255"), id="limited broadcast"),
        pytest.param(udp(ANN.mac, BROADCAST, ANN.address, "10.0.4.255"), id="directed broadcast"),
        pytest.param(udp(ANN.mac, BOB.mac, ANN.address, "10.0.4.255"), id="directed broadcast in a unicast frame"),
        pytest.param(bytes.fromhex("52540000000252540000000186dd") + b"\x60".ljust(46, b"\0"), id="IPv6"),
        pytest.param(
            bytes.fromhex("52540000000252540000000181000064") + udp(ANN.mac, BOB.mac, ANN.address, BOB.address)[12:],
            id="a VLAN tag",
        ),
        pytest.param(bytes.fromhex("52540000000252540000000188cc") + bytes(46), id="LLDP"),
        pytest.param(bytes.fromhex("0180c20000005254000000010026424203") + bytes(50), id="spanning tree"),
    ],
)
def test_an_unsupported_frame_is_dropped(lab: Lab, frame: bytes) -> None:
    assert not _arrives(lab, frame)


def test_an_unattached_machine_cannot_take_over_a_havip(lab: Lab) -> None:
    lab.announce("cat")
    time.sleep(0.2)
    lab.release("cat")
    assert lab.holder() == ANN.instance_id
    assert lab.connect("client", "203.0.113.7", 80).startswith("hello from ann")


def test_a_detached_machine_cannot_take_over_the_havip(lab: Lab) -> None:
    lab.configure(announcers=("ann",))
    lab.announce("bob")
    time.sleep(0.2)
    assert lab.holder() == ANN.instance_id


def test_an_ordinary_arp_request_with_the_havip_as_sender_does_not_move_its_traffic(lab: Lab) -> None:
    lab.run("bob", "ip", "address", "replace", f"{HAVIP}/32", "dev", "eth0")
    lab.send("bob", arp(BOB.mac, HAVIP, GATEWAY))
    time.sleep(0.2)
    assert lab.connect("client", "203.0.113.7", 80).startswith("hello from ann")


def test_an_ordinary_address_announced_as_virtual_ip_is_not_reachable(lab: Lab) -> None:
    lab.run("ann", "ip", "address", "replace", f"{UNUSED}/32", "dev", "eth0")
    lab.send("ann", gratuitous(ANN.mac, UNUSED), gratuitous(ANN.mac, UNUSED, operation=2))
    try:
        assert lab.connect("bob", UNUSED, 80) in {"timeout", "unreachable"}
        assert lab.connect("operator", UNUSED, 80) in {"timeout", "unreachable"}
    finally:
        lab.run("ann", "ip", "address", "delete", f"{UNUSED}/32", "dev", "eth0")


def test_a_machine_with_a_changed_mac_is_unreachable_until_it_is_restored(lab: Lab) -> None:
    assert lab.connect("cat", BOB.address, 80).startswith("hello from bob")
    lab.run("cat", "ip", "link", "set", "eth0", "address", "52:54:00:de:ad:01")
    try:
        assert lab.connect("cat", BOB.address, 80) in {"timeout", "unreachable"}
    finally:
        lab.run("cat", "ip", "link", "set", "eth0", "address", CAT.mac)
    assert lab.connect("cat", BOB.address, 80, timeout_s=3).startswith("hello from bob")
