"""Reachability: separate VPCs, public addresses, no route to the internet, the platform's services."""

from __future__ import annotations

import time
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from .frames import gratuitous
from .lab import HAVIP, PLACES, PUBLIC, Configuration, Lab, wait_until

pytestmark = pytest.mark.root

ANN, BOB, CAT, DAN, EVE = (PLACES[name] for name in ("ann", "bob", "cat", "dan", "eve"))
CLIENT = "198.51.100.10"
API = "198.51.100.30"
GATEWAY = "10.0.4.1"


def test_subnets_of_one_vpc_reach_each_other(lab: Lab) -> None:
    assert lab.connect("ann", DAN.address, 80).startswith("hello from dan to 10.0.4.20")


def test_two_vpcs_with_the_same_range_are_isolated(lab: Lab) -> None:
    assert lab.connect("ann", EVE.address, 80) in {"timeout", "unreachable"}
    assert lab.connect("eve", ANN.address, 80) in {"timeout", "unreachable"}
    assert lab.connect("eve", DAN.address, 80) in {"timeout", "unreachable"}


def test_a_manual_route_does_not_reach_another_vpc(lab: Lab) -> None:
    lab.run("eve", "ip", "route", "replace", "10.0.4.20/32", "via", GATEWAY)
    try:
        assert lab.connect("eve", ANN.address, 80) in {"timeout", "unreachable"}
    finally:
        lab.run("eve", "ip", "route", "delete", "10.0.4.20/32")


def test_each_machine_gets_its_own_metadata_in_vpcs_with_the_same_addresses(lab: Lab) -> None:
    for place in (ANN, EVE):
        done = lab.run(place.name, "curl", "-s", "--max-time", "2", "http://169.254.0.23/latest/meta-data/instance-id")
        assert done.stdout == place.instance_id


def test_the_metadata_show_the_public_address_while_it_is_bound(lab: Lab) -> None:
    def addresses() -> list[str]:
        interface_path = f"network/interfaces/macs/{BOB.mac}"
        paths = ("local-ipv4", "public-ipv4", f"{interface_path}/primary-local-ipv4", f"{interface_path}/public-ipv4s")
        return [lab.must("bob", "curl", "-sf", f"http://169.254.0.23/latest/meta-data/{path}") for path in paths]

    assert addresses() == [BOB.address, "", BOB.address, ""]
    lab.configure(public={PUBLIC: IPv4Address(BOB.address)})
    assert addresses() == [BOB.address, str(PUBLIC), BOB.address, str(PUBLIC)]
    lab.configure()
    assert addresses() == [BOB.address, "", BOB.address, ""]


def test_a_machine_that_moves_to_another_subnet_is_reachable_there(lab: Lab) -> None:
    """Its interface keeps its name on the machine, regardless of the order of the subnets in the plan."""
    moved = replace(DAN, subnet="four", address="10.0.4.30")
    plan = Configuration().plan()
    one, two = plan.vpcs
    four, five = one.subnets
    four = replace(four, interfaces=(*four.interfaces, Configuration().interface(moved)))
    five = replace(five, interfaces=())
    try:
        lab.infrastructure.apply_network(replace(plan, vpcs=(replace(one, subnets=(four, five)), two)))
        lab.infrastructure.stop_machine(DAN.instance_id, hard=True)
        lab.infrastructure.start_machine(replace(lab.spec("dan"), interface=Configuration().interface(moved)))
        wait_until(lambda: lab.connect("ann", moved.address, 22).startswith("SSH"), "dan is reached", 20)
    finally:
        lab.configure()
        lab.infrastructure.stop_machine(DAN.instance_id, hard=True)
        lab.infrastructure.start_machine(lab.spec("dan"))
    wait_until(lambda: lab.connect("ann", DAN.address, 22).startswith("SSH"), "dan is back", 20)
    for port in (80, 8080):
        lab.ensure_server("dan", port)


def test_the_internet_reaches_a_public_address_with_its_source_address(lab: Lab) -> None:
    lab.configure(public={PUBLIC: IPv4Address(BOB.address)})
    assert lab.connect("client", PUBLIC, 80) == f"hello from bob to {CLIENT}"


def test_the_operator_reaches_a_public_address(lab: Lab) -> None:
    assert lab.connect("operator", PUBLIC, 80) == "hello from ann to 198.51.100.20"


def test_packets_to_an_unbound_public_address_are_discarded(lab: Lab) -> None:
    assert lab.connect("client", "203.0.113.200", 80) == "timeout"


def test_an_address_is_unreachable_immediately_after_it_is_unbound(lab: Lab) -> None:
    assert lab.connect("client", PUBLIC, 80).startswith("hello")
    lab.configure(public={})
    assert lab.connect("client", PUBLIC, 80) == "timeout"


def test_a_public_address_moves_to_another_machine(lab: Lab) -> None:
    lab.configure(public={PUBLIC: IPv4Address(BOB.address)})
    assert lab.connect("client", PUBLIC, 80).startswith("hello from bob")
    lab.configure(public={PUBLIC: IPv4Address(DAN.address)})
    assert lab.connect("client", PUBLIC, 80).startswith("hello from dan")


def test_the_internet_cannot_reach_a_private_address(lab: Lab) -> None:
    assert lab.connect("client", ANN.address, 80) in {"timeout", "unreachable"}


def test_a_machine_without_a_public_address_cannot_reach_the_internet(lab: Lab) -> None:
    with lab.internet_server():
        assert lab.connect("cat", CLIENT, 9000) in {"timeout", "unreachable"}
        assert lab.connect("operator", CLIENT, 9000) == "hello from 198.51.100.20"


def test_a_machine_with_a_public_address_uses_it_as_source(lab: Lab) -> None:
    lab.configure(public={PUBLIC: IPv4Address(BOB.address)})
    with lab.internet_server():
        assert lab.connect("bob", CLIENT, 9000) == f"hello from {PUBLIC}"
        assert lab.connect("cat", CLIENT, 9000) in {"timeout", "unreachable"}


def test_only_traffic_from_the_havip_uses_the_havips_public_address(lab: Lab) -> None:
    with lab.internet_server():
        assert lab.connect("ann", CLIENT, 9000, source=str(HAVIP)) == f"hello from {PUBLIC}"
        assert lab.connect("ann", CLIENT, 9000) in {"timeout", "unreachable"}


def test_a_nat_gateway_permits_outgoing_and_no_incoming_connections(lab: Lab) -> None:
    gateway = IPv4Address("203.0.113.50")
    lab.configure(nat=gateway)
    with lab.internet_server():
        assert lab.connect("dan", CLIENT, 9000) == f"hello from {gateway}"
        assert lab.connect("cat", CLIENT, 9000) in {"timeout", "unreachable"}
    assert lab.connect("client", gateway, 80) == "timeout"


def test_a_machine_reaches_itself_through_its_public_address(lab: Lab) -> None:
    lab.configure(public={PUBLIC: IPv4Address(BOB.address), IPv4Address("203.0.113.8"): IPv4Address(CAT.address)})
    assert lab.connect("bob", "203.0.113.8", 80) == f"hello from cat to {PUBLIC}"


def test_a_machine_cannot_reach_the_host(lab: Lab) -> None:
    for address in lab.host_addresses():
        assert lab.connect("ann", address, 22, timeout_s=0.3) in {"timeout", "unreachable"}


def test_a_machine_without_internet_access_cannot_reach_the_api(lab: Lab) -> None:
    assert lab.connect("ann", API, 443) in {"timeout", "unreachable"}


def test_the_router_answers_only_pings(lab: Lab) -> None:
    assert lab.run("ann", "ping", "-c1", "-W1", GATEWAY).returncode == 0
    for port in (22, 53, 80, 443):
        assert lab.connect("ann", GATEWAY, port, timeout_s=0.3) == "timeout"


def test_the_platforms_services_are_unreachable_from_outside_the_vpc(lab: Lab) -> None:
    assert lab.connect("client", "169.254.0.23", 80, timeout_s=0.3) in {"timeout", "unreachable"}
    assert lab.connect("operator", "169.254.0.23", 80, timeout_s=0.3) in {"timeout", "unreachable"}


_ASK_NAME = """
def ask(name, kind, server):
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    query = b"\\x12\\x34\\x01\\x00\\x00\\x01" + bytes(6) + labels + b"\\0" + kind.to_bytes(2, "big") + b"\\0\\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1); began = time.monotonic(); s.sendto(query, (server, 53)); reply = s.recv(512)
        return [reply[3] & 15, int.from_bytes(reply[6:8], "big"), list(reply[-4:]), time.monotonic() - began]
show(ask(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
"""


@pytest.mark.parametrize("server", ["183.60.83.19", "183.60.82.98"])
def test_the_name_servers_resolve_the_platforms_names_and_refuse_others_immediately(lab: Lab, server: str) -> None:
    code, answers, address, _ = lab.python("ann", _ASK_NAME, "packages.internal", 1, server)
    assert (code, answers, address) == (0, 1, [169, 254, 0, 3])
    code, answers, *_ = lab.python("ann", _ASK_NAME, "packages.internal", 28, server)
    assert (code, answers) == (0, 0)
    code, answers, _, took_s = lab.python("ann", _ASK_NAME, "www.example.com", 1, server)
    assert (code, answers) == (3, 0)
    assert took_s < 0.2


def test_the_package_mirror_serves_only_packages(lab: Lab) -> None:
    def fetch(path: str) -> str:
        words = ("curl", "-s", "--path-as-is", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}")
        return lab.run("ann", *words, f"http://packages.internal{path}").stdout

    assert fetch("/debian/dists/bookworm/InRelease") == "200"
    assert fetch("/debian-security/dists/bookworm-security/InRelease") == "200"
    assert fetch("/etc/passwd") == "404"
    assert fetch("/debian/../../etc/passwd") == "404"
    assert fetch("/debian/%2e%2e/%2e%2e/etc/passwd") == "404"
    assert fetch("/") == "404"


def test_a_machine_cannot_read_anothers_metadata_with_a_false_address(lab: Lab) -> None:
    lab.run("cat", "ip", "address", "add", f"{BOB.address}/32", "dev", "eth0")
    try:
        done = lab.run(
            "cat", "curl", "-s", "--max-time", "1", "--interface", BOB.address, "http://169.254.0.23/latest/meta-data/"
        )
        assert done.stdout == ""
    finally:
        lab.run("cat", "ip", "address", "delete", f"{BOB.address}/32", "dev", "eth0")


def test_a_havip_is_unreachable_until_it_is_announced(lab: Lab) -> None:
    other = IPv4Address("10.0.4.98")
    lab.configure(public={PUBLIC: other})
    lab.run("cat", "ip", "address", "add", f"{other}/32", "dev", "eth0")
    try:
        assert lab.connect("client", PUBLIC, 80) == "timeout"
        lab.send("cat", gratuitous(CAT.mac, other))
        assert lab.connect("client", PUBLIC, 80).startswith("hello from cat")
    finally:
        lab.run("cat", "ip", "address", "delete", f"{other}/32", "dev", "eth0")


def test_the_last_announcer_holds_the_havip_and_is_reported(lab: Lab) -> None:
    lab.announced.clear()
    for name in ("bob", "ann", "bob"):
        place = PLACES[name]
        lab.announce(name)
        took_s = wait_until(lambda place=place: lab.holder() == place.instance_id, f"{name} holds it")
        assert took_s < 0.1
        assert lab.connect("client", PUBLIC, 80).startswith(f"hello from {name}")
    assert [instance for _, instance in lab.announced] == [BOB.instance_id, ANN.instance_id, BOB.instance_id]


def test_traffic_follows_an_announcement_within_five_milliseconds(lab: Lab) -> None:
    took = lab.time_of_moves(("bob", "ann") * 5)
    assert sorted(took)[len(took) // 2] < 0.005
    assert max(took) < 0.05


def test_a_reattached_machine_holds_the_havip_after_it_announces_it(lab: Lab) -> None:
    wait_until(lambda: lab.holder() == ANN.instance_id, "ann holds it")
    lab.announced.clear()
    lab.configure(announcers=("bob",))
    assert lab.holder() is None
    assert lab.connect("client", PUBLIC, 80) == "timeout"
    lab.configure()
    assert lab.connect("client", PUBLIC, 80) == "timeout", "no announcement since"
    lab.announce("ann")
    wait_until(lambda: lab.announced == [(str(HAVIP), ANN.instance_id)], "the announcement is reported")
    assert lab.connect("client", PUBLIC, 80).startswith("hello from ann")


@pytest.mark.parametrize("delay_s", [0.5, 1.0, 4.0])
def test_traffic_follows_after_the_configured_take_over_delay(lab: Lab, delay_s: float) -> None:
    lab.infrastructure.set_takeover_delay(delay_s)
    try:
        began = time.monotonic()
        lab.announce("bob")
        assert lab.connect("client", PUBLIC, 80).startswith("hello from ann")
        assert lab.connect("cat", HAVIP, 80).startswith("hello from ann")
        assert lab.holder() == ANN.instance_id
        while lab.holder() != BOB.instance_id:
            assert time.monotonic() - began < delay_s + 1
            # keepalived announces at its start and every few seconds: the delay counts from the first announcement.
            lab.announce("bob")
        assert delay_s - 0.05 < time.monotonic() - began < delay_s + 1
        assert lab.connect("client", PUBLIC, 80).startswith("hello from bob")
        assert lab.connect("cat", HAVIP, 80).startswith("hello from bob")
    finally:
        lab.infrastructure.set_takeover_delay(0.0)
