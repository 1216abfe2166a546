"""Security groups, tested from inside machines with real connections."""

from __future__ import annotations

import time
from ipaddress import IPv4Network

import pytest

from localcloud.infrastructure import Rule, SecurityGroup

from .frames import udp
from .lab import ANYWHERE, PLACES, Lab

pytestmark = pytest.mark.root

ANN, BOB, CAT = PLACES["ann"], PLACES["bob"], PLACES["cat"]
OPERATOR = IPv4Network("172.31.255.2/32")
OUT = (Rule("ACCEPT", "ALL", (), (ANYWHERE,)),)


def _host(name: str) -> IPv4Network:
    return IPv4Network(f"{PLACES[name].address}/32")


def _group(*ingress: Rule, egress: tuple[Rule, ...] = OUT, name: str = "sg-test") -> SecurityGroup:
    return SecurityGroup(name, ingress, egress)


def _guard_bob(lab: Lab, *ingress: Rule, egress: tuple[Rule, ...] = OUT) -> None:
    lab.configure(groups={"bob": ("sg-test",)}, rules=(_group(*ingress, egress=egress),))


def _connects(lab: Lab, name: str, port: int = 80) -> str:
    return lab.connect(name, BOB.address, port)


def test_a_rule_opens_its_port_and_packets_to_the_next_port_are_dropped(lab: Lab) -> None:
    _guard_bob(lab, Rule("ACCEPT", "TCP", ((80, 80),), (ANYWHERE,)))
    assert _connects(lab, "ann").startswith("hello from bob")
    assert _connects(lab, "ann", 8080) == "timeout"


def test_a_machine_without_a_group_receives_no_traffic(lab: Lab) -> None:
    lab.configure(groups={"bob": ()})
    assert _connects(lab, "ann") == "timeout"


def test_a_group_without_rules_drops_all_traffic(lab: Lab) -> None:
    _guard_bob(lab, egress=())
    assert _connects(lab, "ann") == "timeout"
    assert lab.connect("bob", ANN.address, 80) == "timeout"


def test_a_drop_before_an_accept_decides(lab: Lab) -> None:
    _guard_bob(lab, Rule("DROP", "TCP", ((80, 80),), (_host("ann"),)), Rule("ACCEPT", "TCP", ((80, 80),), (ANYWHERE,)))
    assert _connects(lab, "ann") == "timeout"
    assert _connects(lab, "cat").startswith("hello")


def test_an_accept_before_a_drop_decides(lab: Lab) -> None:
    _guard_bob(lab, Rule("ACCEPT", "TCP", ((80, 80),), (_host("ann"),)), Rule("DROP", "ALL", (), (ANYWHERE,)))
    assert _connects(lab, "ann").startswith("hello")
    assert _connects(lab, "cat") == "timeout"


def test_a_rule_for_a_group_admits_only_its_members(lab: Lab) -> None:
    members = (_host("ann"),)  # as the records resolve a reference to a group
    _guard_bob(lab, Rule("ACCEPT", "TCP", ((80, 80),), members))
    assert _connects(lab, "ann").startswith("hello")
    assert _connects(lab, "cat") == "timeout"


def test_a_machine_that_leaves_the_source_group_loses_access(lab: Lab) -> None:
    _guard_bob(lab, Rule("ACCEPT", "TCP", ((80, 80),), (_host("ann"), _host("cat"))))
    assert _connects(lab, "cat").startswith("hello")
    _guard_bob(lab, Rule("ACCEPT", "TCP", ((80, 80),), (_host("ann"),)))
    assert _connects(lab, "cat") == "timeout"


def test_a_rule_for_the_operator_admits_only_its_private_line(lab: Lab) -> None:
    _guard_bob(lab, Rule("ACCEPT", "TCP", ((80, 80),), (OPERATOR,)))
    assert lab.connect("operator", BOB.address, 80).startswith("hello from bob to 172.31.255.2")
    assert _connects(lab, "ann") == "timeout"


def test_a_port_range_includes_its_first_and_last_port(lab: Lab) -> None:
    _guard_bob(lab, Rule("ACCEPT", "TCP", ((80, 8079),), (ANYWHERE,)))
    assert _connects(lab, "ann").startswith("hello")
    assert _connects(lab, "ann", 8079) == "refused"
    assert _connects(lab, "ann", 79) == "timeout"
    assert _connects(lab, "ann", 8080) == "timeout"


def test_a_rule_can_list_several_ports(lab: Lab) -> None:
    _guard_bob(lab, Rule("ACCEPT", "TCP", ((80, 80), (8080, 8080)), (ANYWHERE,)))
    assert _connects(lab, "ann").startswith("hello")
    assert _connects(lab, "ann", 8080).startswith("hello")
    assert _connects(lab, "ann", 443) == "timeout"


def test_a_cidr_excludes_the_next_address(lab: Lab) -> None:
    _guard_bob(lab, Rule("ACCEPT", "TCP", ((80, 80),), (IPv4Network("10.0.4.20/31"),)))
    assert _connects(lab, "ann").startswith("hello")
    assert _connects(lab, "cat") == "timeout"


_ASK_UDP = """
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(0.6)
    s.sendto(b"x" * int(sys.argv[2]), (sys.argv[1], 5353))
    try: show(s.recv(200).decode())
    except TimeoutError: show("timeout")
"""


def test_a_udp_rule_opens_only_udp(lab: Lab) -> None:
    _guard_bob(lab, Rule("ACCEPT", "UDP", ((5353, 5353),), (ANYWHERE,)))
    assert lab.python("ann", _ASK_UDP, BOB.address, 3).startswith("hello from bob, 3 bytes")
    assert _connects(lab, "ann", 5353) == "timeout"


def test_a_fragmented_datagram_to_an_open_port_arrives_complete(lab: Lab) -> None:
    _guard_bob(lab, Rule("ACCEPT", "UDP", ((5353, 5353),), (ANYWHERE,)))
    assert lab.python("ann", _ASK_UDP, BOB.address, 8000).startswith("hello from bob, 8000 bytes")


def test_a_fragmented_datagram_to_a_closed_port_is_dropped(lab: Lab) -> None:
    _guard_bob(lab, Rule("ACCEPT", "UDP", ((53, 53),), (ANYWHERE,)))
    with lab.listening("bob", 0.3) as seen:
        assert lab.python("ann", _ASK_UDP, BOB.address, 8000) == "timeout"
    assert not [frame for frame in seen if frame[12:14] == b"\x08\x00" and frame[23] == 17]


def test_an_icmp_rule_admits_only_pings(lab: Lab) -> None:
    _guard_bob(lab, Rule("ACCEPT", "ICMP", (), (ANYWHERE,)))
    assert lab.run("ann", "ping", "-c1", "-W1", BOB.address).returncode == 0
    assert _connects(lab, "ann") == "timeout"


def test_a_ping_without_an_icmp_rule_is_dropped(lab: Lab) -> None:
    _guard_bob(lab, Rule("ACCEPT", "TCP", (), (ANYWHERE,)))
    assert lab.run("ann", "ping", "-c1", "-W1", BOB.address).returncode == 1
    assert _connects(lab, "ann").startswith("hello")


@pytest.mark.parametrize(
    ("rule", "arrives"),
    [
        pytest.param(Rule("ACCEPT", "TCP", (), (ANYWHERE,)), False, id="TCP rules"),
        pytest.param(Rule("ACCEPT", "UDP", (), (ANYWHERE,)), False, id="UDP rules"),
        pytest.param(Rule("ACCEPT", "ICMP", (), (ANYWHERE,)), False, id="ICMP rules"),
        pytest.param(Rule("ACCEPT", "ALL", (), (IPv4Network("10.0.4.20/32"),)), True, id="ALL from the peer"),
        pytest.param(Rule("ACCEPT", "ALL", (), (IPv4Network("10.0.4.22/32"),)), False, id="ALL from another"),
    ],
)
def test_vrrp_needs_a_rule_for_all_protocols(lab: Lab, rule: Rule, *, arrives: bool) -> None:
    _guard_bob(lab, rule)
    advertisement = udp(ANN.mac, BOB.mac, ANN.address, BOB.address, protocol=112)
    with lab.listening("bob", 0.3) as seen:
        lab.send("ann", advertisement)
    assert any(frame[23] == 112 for frame in seen if frame[12:14] == b"\x08\x00") is arrives


def test_gre_needs_a_rule_for_gre(lab: Lab) -> None:
    _guard_bob(lab, Rule("ACCEPT", "GRE", (), (ANYWHERE,)))
    gre = udp(ANN.mac, BOB.mac, ANN.address, BOB.address, protocol=47)
    with lab.listening("bob", 0.3) as seen:
        lab.send("ann", gre)
    assert any(frame[23] == 47 for frame in seen if frame[12:14] == b"\x08\x00")
    assert _connects(lab, "ann") == "timeout"


def test_an_egress_drop_blocks_requests_of_the_machine(lab: Lab) -> None:
    lab.configure(
        groups={"ann": ("sg-test",)},
        rules=(_group(*OUT, egress=(Rule("DROP", "TCP", ((80, 80),), (_host("bob"),)), *OUT)),),
    )
    assert _connects(lab, "ann") == "timeout"
    assert _connects(lab, "ann", 8080).startswith("hello")
    assert lab.connect("ann", CAT.address, 80).startswith("hello")


def test_an_egress_drop_does_not_block_responses_of_the_machine(lab: Lab) -> None:
    _guard_bob(lab, *OUT, egress=(Rule("DROP", "ALL", (), (ANYWHERE,)),))
    assert _connects(lab, "ann").startswith("hello")


def test_groups_are_evaluated_in_order(lab: Lab) -> None:
    shut = _group(Rule("DROP", "TCP", ((80, 80),), (ANYWHERE,)), name="sg-shut")
    opened = _group(*OUT, name="sg-all")
    lab.configure(groups={"bob": ("sg-shut", "sg-all")}, rules=(shut, opened))
    assert _connects(lab, "ann") == "timeout"
    assert _connects(lab, "ann", 8080).startswith("hello")
    lab.configure(groups={"bob": ("sg-all", "sg-shut")}, rules=(shut, opened))
    assert _connects(lab, "ann").startswith("hello")


def test_the_groups_of_the_holder_apply_to_a_virtual_ip(lab: Lab) -> None:
    lab.configure(groups={"ann": ("sg-test",)}, rules=(_group(Rule("ACCEPT", "TCP", ((8080, 8080),), (ANYWHERE,))),))
    assert lab.connect("client", "203.0.113.7", 80) == "timeout"
    assert lab.connect("client", "203.0.113.7", 8080).startswith("hello from ann")


def test_a_changed_rule_applies_to_new_connections_within_200_ms(lab: Lab) -> None:
    _guard_bob(lab, *OUT)
    times: list[float] = []
    for ingress in ((), OUT, (), OUT):
        began = time.monotonic()
        _guard_bob(lab, *ingress)
        times.append(time.monotonic() - began)
        assert _connects(lab, "ann").startswith("hello") is bool(ingress)
    assert max(times) < 0.2, f"a change took {max(times) * 1000:.0f} ms"


_TALK = """
address, seconds = sys.argv[1], float(sys.argv[2])
talked = longest = 0
with socket.create_connection((address, 7000), 2) as s:
    print("talking", flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        s.settimeout(2); s.sendall(b"x"); s.recv(1)
        longest = max(longest, time.monotonic() - began); talked += 1
        time.sleep(0.01)
show([talked, longest])
"""
_ECHO = """
s = socket.create_server(("", 7000)); print("ready", flush=True)
c, _ = s.accept()
while data := c.recv(100): c.sendall(data)
"""


def test_an_established_flow_survives_a_rule_change_that_blocks_new_flows(lab: Lab) -> None:
    _guard_bob(lab, *OUT)
    with lab.talking("bob", _ECHO), lab.talking("ann", _TALK, BOB.address, 1.5) as said:
        _guard_bob(lab)
        assert lab.connect("ann", BOB.address, 7000) == "timeout"
        _guard_bob(lab, Rule("DROP", "ALL", (), (ANYWHERE,)))
    talked, longest_s = said[-1]
    assert talked > 50
    assert longest_s < 0.5


def test_a_thousand_rules_load_quickly_and_give_the_right_verdicts(lab: Lab) -> None:
    rules = [
        Rule(
            "DROP" if number % 2 else "ACCEPT",
            "TCP",
            ((1000 + number, 1000 + number),),
            (IPv4Network(f"10.{number % 200}.0.0/16"),),
        )
        for number in range(998)
    ]
    began = time.monotonic()
    _guard_bob(lab, *rules, Rule("ACCEPT", "TCP", ((80, 80),), (_host("ann"),)), Rule("DROP", "ALL", (), (ANYWHERE,)))
    took = time.monotonic() - began
    assert _connects(lab, "ann").startswith("hello")
    assert _connects(lab, "cat") == "timeout"
    assert took < 1, f"loading took {took * 1000:.0f} ms"


def test_the_platforms_services_are_reachable_regardless_of_groups(lab: Lab) -> None:
    _guard_bob(lab, egress=())
    done = lab.run(
        "bob", "curl", "-s", "--max-time", "2", "http://metadata.tencentyun.com/latest/meta-data/instance-id"
    )
    assert done.stdout == BOB.instance_id
