"""The bandwidth limit of a public address, measured with real traffic."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from .lab import HAVIP, PLACES, PUBLIC, Lab, wait_until

pytestmark = pytest.mark.root

_SEND_MANY = """
s = socket.create_server(("", 7001)); print("ready", flush=True)
c, _ = s.accept()
if sys.argv[1] == "out": c.sendall(bytes(int(sys.argv[2]))); c.close()
else:
    total = 0
    while data := c.recv(1 << 16): total += len(data)
"""
_TRANSFER = """
address, direction, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
with socket.create_connection((address, 7001), 3) as s:
    s.settimeout(15); began = time.monotonic()
    if direction == "out":
        total = 0
        while data := s.recv(1 << 16): total += len(data)
    else:
        s.sendall(bytes(size)); s.shutdown(1); s.recv(1)
    show(size * 8 / (time.monotonic() - began) / 1e6)
"""


@pytest.mark.parametrize("way", ["out", "in"])
@pytest.mark.parametrize("mbps", [20, 80])
def test_a_public_address_is_limited_to_its_bandwidth(lab: Lab, way: str, mbps: int) -> None:
    lab.configure(public={PUBLIC: IPv4Address(PLACES["bob"].address)}, bandwidth_mbps=mbps)
    size = mbps * 125_000  # the bytes of one second
    with lab.talking("bob", _SEND_MANY, way, size):
        measured = lab.python("client", _TRANSFER, PUBLIC, way, size)
    assert 0.7 * mbps < measured < 1.15 * mbps


def test_a_virtual_ips_public_address_is_limited_on_every_holder(lab: Lab) -> None:
    lab.configure(public={PUBLIC: HAVIP}, bandwidth_mbps=40)
    for holder in ("ann", "bob"):
        lab.announce(holder)
        wait_until(lambda holder=holder: lab.holder() == PLACES[holder].instance_id, "it holds the address")
        with lab.talking(holder, _SEND_MANY, "out", 5_000_000):
            assert 0.7 * 40 < lab.python("client", _TRANSFER, PUBLIC, "out", 5_000_000) < 1.15 * 40
        lab.release(holder)


def test_a_limit_does_not_affect_another_public_address_of_the_vpc(lab: Lab) -> None:
    other = IPv4Address("203.0.113.9")
    lab.configure(
        public={PUBLIC: IPv4Address(PLACES["cat"].address), other: IPv4Address(PLACES["bob"].address)},
        bandwidth_mbps=400,
    )
    with lab.talking("bob", _SEND_MANY, "out", 20_000_000):
        assert lab.python("client", _TRANSFER, other, "out", 20_000_000) > 150


def test_traffic_between_machines_of_a_vpc_is_not_limited(lab: Lab) -> None:
    lab.configure(public={PUBLIC: IPv4Address(PLACES["bob"].address)}, bandwidth_mbps=10)
    with lab.talking("bob", _SEND_MANY, "out", 20_000_000):
        assert lab.python("cat", _TRANSFER, PLACES["bob"].address, "out", 20_000_000) > 200
