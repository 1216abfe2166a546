"""A machine whose root is hostile: attacks on its neighbours, the router, the operator and the host."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network

import pytest

from localcloud.infrastructure import Rule, SecurityGroup

from .frames import BROADCAST, arp, gratuitous, udp
from .lab import ANYWHERE, HAVIP, PLACES, PUBLIC, Lab, wait_until

pytestmark = pytest.mark.root

ANN, BOB, CAT, EVE = (PLACES[name] for name in ("ann", "bob", "cat", "eve"))
GATEWAY = "10.0.4.1"
METADATA = "169.254.0.23"
OPEN_80 = SecurityGroup(
    "sg-web", (Rule("ACCEPT", "TCP", ((80, 80),), (ANYWHERE,)),), (Rule("ACCEPT", "ALL", (), (ANYWHERE,)),)
)


def _frames_at(lab: Lab, receiver: str, *frames: bytes, sender: str = "ann") -> list[bytes]:
    """Return the frames that reach a machine in promiscuous mode; a final announcement must arrive."""
    control = gratuitous(PLACES[sender].mac, PLACES[sender].address)
    lab.run(receiver, "ip", "link", "set", "eth0", "promisc", "on")
    try:
        with lab.listening(receiver, 0.2) as seen:
            lab.send(sender, *frames, control)
    finally:
        lab.run(receiver, "ip", "link", "set", "eth0", "promisc", "off")
    assert any(each[:42] == control[:42] for each in seen), "the control frame did not arrive"
    return [frame for frame in frames if any(each[:42] == frame[:42] for each in seen)]


def test_a_machine_cannot_sniff_traffic_between_two_others(lab: Lab) -> None:
    lab.run("cat", "ip", "link", "set", "eth0", "promisc", "on")
    with lab.listening("cat", 0.2) as seen:
        assert lab.connect("ann", BOB.address, 80).startswith("hello from bob")
    lab.run("cat", "ip", "link", "set", "eth0", "promisc", "off")
    assert not [frame for frame in seen if frame[12:14] == b"\x08\x00"]


def test_a_frame_to_an_unknown_mac_is_not_flooded(lab: Lab) -> None:
    nobody = udp(ANN.mac, "52:54:00:00:00:77", ANN.address, "10.0.4.77")
    assert _frames_at(lab, "cat", nobody) == []


def test_a_frame_to_a_silent_machine_is_not_flooded(lab: Lab) -> None:
    """The bridge's entry is static: with flooding, cat would see the frame too."""
    listing = _bridge(lab, "bridge", "fdb", "show", "br", "br0")
    assert f"{BOB.mac} dev p-00000002 master br0 static" in listing


def test_a_flood_of_false_macs_causes_neither_flooding_nor_an_outage(lab: Lab) -> None:
    frames = [
        udp(f"52:54:01:{number >> 8:02x}:{number & 255:02x}:01", BROADCAST, ANN.address, BOB.address)
        for number in range(2000)
    ]
    lab.must("ann", "sh", "-c", "cat >/root/frames", text="\n".join(frame.hex() for frame in frames))
    lab.python("ann", "send([line.strip() for line in open('/root/frames')])")
    assert "52:54:01:" not in _bridge(lab, "bridge", "fdb", "show", "br", "br0")
    assert _frames_at(lab, "cat", udp(ANN.mac, BOB.mac, ANN.address, BOB.address)) == []
    assert lab.connect("cat", BOB.address, 80).startswith("hello from bob")


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(udp(ANN.mac, BOB.mac, METADATA, BOB.address), id="a packet from the metadata service's address"),
        pytest.param(udp(ANN.mac, BOB.mac, "183.60.83.19", BOB.address), id="a response of the name server"),
        pytest.param(udp(ANN.mac, BOB.mac, GATEWAY, BOB.address, protocol=1, text=b"\x05\x01" + bytes(30)),
                     id="an ICMP redirect of the gateway"),
        pytest.param(udp(ANN.mac, BROADCAST, ANN.address, "255.255.255.255", port=68), id="a broadcast DHCP offer"),
        pytest.param(udp(ANN.mac, BROADCAST, "0.0.0.0", "255.255.255.255", port=67), id="a DHCP request"),
        pytest.param(udp("fe:ee:0b:00:00:01", BOB.mac, GATEWAY, BOB.address), id="the gateway's address and MAC"),
        pytest.param(bytes.fromhex("52540000000252540000000181000000") +
                     udp(ANN.mac, BOB.mac, ANN.address, BOB.address)[12:], id="a priority tag (VLAN 0)"),
        pytest.param(bytes.fromhex("52540000000252540000000188a8006481000064") +
                     udp(ANN.mac, BOB.mac, ANN.address, BOB.address)[12:], id="two VLAN tags"),
        pytest.param(bytes.fromhex("5254000000025254000000018847") + bytes(46), id="MPLS"),
        pytest.param(bytes.fromhex("5254000000025254000000018863") + bytes(46), id="PPPoE"),
        pytest.param(bytes.fromhex("0180c2000003525400000001888e") + bytes(46), id="802.1X"),
        pytest.param(bytes.fromhex("33330000000152540000000186dd6000000000003aff") + bytes(40),
                     id="an IPv6 router advertisement"),
        pytest.param(arp(ANN.mac, ANN.address, BOB.address, operation=2, ether_target="01:00:5e:00:00:01"),
                     id="ARP to a multicast MAC"),
        pytest.param(arp(ANN.mac, HAVIP, BOB.address, ether_source=BOB.mac), id="ARP in a frame of the victim's MAC"),
    ],
)  # fmt: skip
def test_a_hostile_frame_does_not_arrive(lab: Lab, frame: bytes) -> None:
    assert _frames_at(lab, "bob", frame) == []


@pytest.mark.parametrize(
    ("protocol", "name"), [(4, "IPIP"), (47, "GRE"), (41, "IPv6 in IPv4"), (50, "ESP"), (132, "SCTP")]
)
def test_a_tunnel_is_dropped_by_a_group_that_opens_only_a_port(lab: Lab, protocol: int, name: str) -> None:
    del name
    lab.configure(groups={"bob": ("sg-web",)}, rules=(OPEN_80,))
    inner = udp(ANN.mac, BOB.mac, ANN.address, BOB.address, port=8080)[14:]
    assert _frames_at(lab, "bob", udp(ANN.mac, BOB.mac, ANN.address, BOB.address, protocol=protocol, text=inner)) == []


def test_a_tunnel_to_the_router_does_not_reach_another_vpc(lab: Lab) -> None:
    gateway_mac = _gateway_mac(lab)
    inner = udp(ANN.mac, gateway_mac, "10.0.4.1", EVE.address)[14:]
    with lab.listening("eve", 0.3) as seen:
        for protocol in (4, 47):
            lab.send("ann", udp(ANN.mac, gateway_mac, ANN.address, GATEWAY, protocol=protocol, text=inner))
    assert not [frame for frame in seen if frame[12:14] == b"\x08\x00"]


def test_the_router_ignores_source_routes(lab: Lab) -> None:
    gateway_mac = _gateway_mac(lab)
    plain = bytearray(udp(ANN.mac, gateway_mac, ANN.address, GATEWAY)[14:])
    option = b"\x83\x07\x04" + IPv4Address("10.0.5.20").packed + b"\0"  # loose source route to dan
    head = bytearray(plain[:20])
    head[0] = 0x47
    head[2:4] = (len(plain) + 8).to_bytes(2, "big")
    head[10:12] = b"\0\0"
    head[10:12] = _checksum(bytes(head) + option)
    frame = udp(ANN.mac, gateway_mac, ANN.address, GATEWAY)[:14] + bytes(head) + option + bytes(plain[20:])
    with lab.listening("dan", 0.3) as seen:
        lab.send("ann", frame)
    assert not [each for each in seen if each[12:14] == b"\x08\x00"]


def test_a_fragment_without_its_header_does_not_reach_a_closed_port(lab: Lab) -> None:
    lab.configure(groups={"bob": ("sg-web",)}, rules=(OPEN_80,))
    frame = bytearray(udp(ANN.mac, BOB.mac, ANN.address, BOB.address, protocol=6, text=bytes(64)))
    for flags in (0x0001, 0x0002, 0x2001):  # offset 8, offset 16, offset 8 with more to come: past the ports
        frame[20:22] = flags.to_bytes(2, "big")
        frame[24:26] = b"\0\0"
        frame[24:26] = _checksum(bytes(frame[14:34]))
        assert _frames_at(lab, "bob", bytes(frame)) == []


def test_ipv6_enabled_inside_reaches_no_other_machine(lab: Lab) -> None:
    for name in ("ann", "bob"):
        lab.run(name, "sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=0")
        lab.run(name, "ip", "-6", "address", "add", f"fd00::{PLACES[name].number}/64", "dev", "eth0", "nodad")
    try:
        assert lab.run("ann", "ping", "-6", "-c1", "-W1", f"fd00::{BOB.number}").returncode != 0
    finally:
        for name in ("ann", "bob"):
            lab.run(name, "sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1")


def test_only_the_router_answers_arp_for_the_gateway(lab: Lab) -> None:
    lab.run("cat", "ip", "address", "add", f"{GATEWAY}/32", "dev", "eth0")
    try:
        done = lab.run("ann", "arping", "-c2", "-w2", "-I", "eth0", GATEWAY)
    finally:
        lab.run("cat", "ip", "address", "delete", f"{GATEWAY}/32", "dev", "eth0")
    assert done.returncode == 0
    assert CAT.mac not in done.stdout.lower()


def test_a_detached_machine_does_not_answer_arp_for_the_havip(lab: Lab) -> None:
    lab.run("ann", "ip", "address", "delete", f"{HAVIP}/32", "dev", "eth0")
    lab.run("bob", "ip", "address", "replace", f"{HAVIP}/32", "dev", "eth0")
    asked = ("arping", "-c1", "-w1", "-I", "eth0", str(HAVIP))
    assert lab.run("cat", *asked).returncode == 0
    lab.configure(announcers=("ann",))
    assert lab.run("cat", *asked).returncode == 1


def test_an_unattached_machine_does_not_answer_arp_for_the_havip(lab: Lab) -> None:
    lab.run("ann", "ip", "address", "delete", f"{HAVIP}/32", "dev", "eth0")
    lab.run("cat", "ip", "address", "replace", f"{HAVIP}/32", "dev", "eth0")
    try:
        assert lab.run("bob", "arping", "-c1", "-w1", "-I", "eth0", str(HAVIP)).returncode == 1
    finally:
        lab.run("cat", "ip", "address", "delete", f"{HAVIP}/32", "dev", "eth0")


_FLOOD = """
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16: total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
source, target, count = socket.inet_aton(sys.argv[1]), socket.inet_aton(sys.argv[2]), int(sys.argv[3])
macs = bytes.fromhex(sys.argv[4])
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
    raw.bind(("eth0", 0))
    for number in range(count):
        tcp = struct.pack("!HHIIBBHHH", 1024 + number % 60000, 80 + number // 60000, number, 0, 0x50, 2, 1024, 0, 0)
        pseudo = source + target + struct.pack("!HH", 6, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, number & 0xFFFF, 0, 64, 6, 0, source, target)
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        raw.send(macs + b"\\x08\\x00" + ip + tcp)
show(count)
"""


def test_a_flood_of_half_open_connections_does_not_block_other_connections(lab: Lab) -> None:
    """120,000 incomplete connections from one machine to two ports of another."""
    macs = (BOB.mac + ANN.mac).replace(":", "")
    assert lab.python("ann", _FLOOD, ANN.address, BOB.address, 120_000, macs)
    assert lab.connect("cat", BOB.address, 8080, timeout_s=3).startswith("hello from bob")
    assert lab.connect("client", PUBLIC, 80, timeout_s=3).startswith("hello from ann")


def test_a_machine_cannot_reach_the_operator_with_or_without_internet_access(lab: Lab) -> None:
    with _listening_in(lab, "ops", 9001):
        for public in ({}, {PUBLIC: IPv4Address(BOB.address)}):
            lab.configure(public=public)
            assert lab.connect("bob", "172.31.255.2", 9001) in {"timeout", "unreachable"}
            assert lab.connect("bob", "172.31.255.1", 22) in {"timeout", "unreachable"}
        assert lab.connect("ann", "198.51.100.20", 9001) in {"timeout", "unreachable"}


def test_no_namespace_of_the_cloud_can_reach_the_hosts_network(lab: Lab) -> None:
    addresses = lab.host_addresses()
    assert addresses
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        for what in lab.infrastructure.namespaces.present():
            for address in [*addresses, "127.0.0.1"]:
                with lab.infrastructure.namespaces.inside(what), socket.socket() as ours:
                    ours.settimeout(0.2)
                    with pytest.raises(OSError, match=r"timed out|unreachable|refused|No route"):
                        ours.connect((address, port))


def test_every_link_of_the_cloud_has_both_ends_in_the_cloud(lab: Lab) -> None:
    """A route to the outside would need a link with one end in the host's namespace."""
    host = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    named = {line.split(": ")[1].split("@")[0] for line in host.splitlines()}
    for what in lab.infrastructure.namespaces.present():
        here = subprocess.run(
            ["ip", "-o", "-n", lab.infrastructure.namespaces.full(what), "link"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        kinds = {line.split(": ")[1].split("@")[0] for line in here.splitlines()}
        assert (named & kinds) <= {"lo", "eth0", "br0"}
    peers = subprocess.run(
        ["ip", "-d", "-o", "link", "show", "type", "veth"], capture_output=True, text=True, check=True
    )
    numbers = subprocess.run(["ip", "netns", "list-id"], capture_output=True, text=True, check=True).stdout
    ours = {line.split()[1] for line in numbers.splitlines() if f"lc-{lab.cloud}-" in line}
    assert not [line for line in peers.stdout.splitlines() if any(f"link-netnsid {number} " in line for number in ours)]


def test_a_machine_cannot_find_the_hosts_files_and_devices(lab: Lab) -> None:
    code = """
    import glob, os
    hits = [path for path in ("/run/localcloud", "/var/lib/localcloud", "/run/netns") if os.path.exists(path)]
    hits += [line for line in open("/proc/net/unix") if "localcloud" in line or "control.sock" in line]
    for major, minor, kind in ((254, 0, 0o060000), (8, 0, 0o060000), (7, 0, 0o060000), (1, 1, 0o020000)):
        os.mknod("/root/device", 0o600 | kind, os.makedev(major, minor))
        try: open("/root/device", "rb").read(1); hits.append((major, minor))
        except OSError: pass
        finally: os.unlink("/root/device")
    show(hits)
    """
    assert lab.python("ann", code) == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("ip link delete eth0", id="deletes its interface"),
        pytest.param("ip link set eth0 down; ip link set eth0 name wan0", id="renames it"),
        pytest.param("ip netns add hidden; ip link set eth0 netns hidden", id="hides it in a namespace"),
        pytest.param("nft 'add table inet x; add chain inet x i { type filter hook input priority 0; policy drop; }'",
                     id="drops all incoming packets"),
        pytest.param("ip rule add prohibit from all", id="prohibits all routes"),
    ],
)  # fmt: skip
def test_power_off_and_on_reverts_a_machines_changes_to_its_network(lab: Lab, change: str) -> None:
    lab.must("cat", "sh", "-c", change)
    assert not lab.connect("ann", CAT.address, 22).startswith("SSH")
    lab.infrastructure.stop_machine(CAT.instance_id, hard=True)
    lab.infrastructure.start_machine(lab.spec("cat"))
    wait_until(lambda: lab.connect("ann", CAT.address, 22).startswith("SSH"), "cat is reached", 20)
    for port in (80, 8080):
        lab.ensure_server("cat", port)
    assert lab.connect("ann", CAT.address, 80).startswith("hello from cat")


def test_a_replaced_interface_on_one_machine_does_not_block_the_plan_for_others(lab: Lab) -> None:
    lab.must("cat", "sh", "-c", "ip link delete eth0 && ip link add eth0 type bridge")
    lab.configure(
        public={PUBLIC: IPv4Address(BOB.address)}
    )  # a different structure, so that every machine's link is checked
    assert lab.connect("client", PUBLIC, 80).startswith("hello from bob")
    lab.infrastructure.stop_machine(CAT.instance_id, hard=True)
    lab.infrastructure.start_machine(lab.spec("cat"))
    wait_until(lambda: lab.connect("ann", CAT.address, 22).startswith("SSH"), "cat is reached", 20)
    for port in (80, 8080):
        lab.ensure_server("cat", port)


_HOLD = """
held = []
for _ in range(300):
    s = socket.create_connection((sys.argv[1], 80), 3); s.sendall(b"GET / HT"); held.append(s)
print("ready", flush=True); time.sleep(1)
ended = select.select(held, [], [], 0)[0]
show(len(held) - len(ended))
"""


@pytest.mark.parametrize("server", [METADATA, "169.254.0.3"])
def test_idle_connections_of_one_machine_do_not_block_other_machines(lab: Lab, server: str) -> None:
    """Each connection uses a descriptor and a thread of the daemon."""
    with lab.talking("ann", _HOLD, server) as said:
        assert lab.must("bob", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{server}/") in {
            "200",
            "404",
        }
    assert 0 < said[0] <= 64


_POUR = """
sent = 0
with socket.create_connection((sys.argv[1], 80), 3) as s:
    s.sendall(b"PUT /latest/api/token HTTP/1.1\\r\\nContent-Length: 50000000\\r\\n\\r\\n")
    try:
        while sent < 50_000_000: sent += s.send(bytes(1 << 16))
    except OSError: pass
show(sent)
"""


def test_the_metadata_service_does_not_read_request_bodies_into_memory(lab: Lab) -> None:
    assert lab.python("ann", _POUR, METADATA) < 20_000_000


def test_a_rule_for_one_address_does_not_open_the_neighbouring_subnet(lab: Lab) -> None:
    only = SecurityGroup("sg-five", (Rule("ACCEPT", "ALL", (), (IPv4Network("10.0.5.0/24"),)),), OPEN_80.egress)
    lab.configure(groups={"bob": ("sg-five",)}, rules=(only,))
    assert lab.connect("dan", BOB.address, 80).startswith("hello from bob")
    assert lab.connect("ann", BOB.address, 80) == "timeout"


def _bridge(lab: Lab, *command: str) -> str:
    with lab.infrastructure.namespaces.inside("subnet-00000004"):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _gateway_mac(lab: Lab) -> str:
    lab.run("ann", "ping", "-c1", "-W1", GATEWAY)
    return lab.must("ann", "ip", "neighbour", "show", GATEWAY).split("lladdr ")[1].split()[0]


def _checksum(data: bytes) -> bytes:
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (total ^ 0xFFFF).to_bytes(2, "big")


@contextmanager
def _listening_in(lab: Lab, what: str, port: int) -> Generator[None]:
    """A server that would accept a connection, so that only the network can refuse it."""
    with lab.infrastructure.namespaces.inside(what):
        server = socket.create_server(("", port))
    with server:
        yield
