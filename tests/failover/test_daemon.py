"""The health daemon with real nginx processes and sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.services.iam_sites import WITHOUT_DATABASE

from .lab import Lab, new_lab, wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def lab() -> Iterator[Lab]:
    with new_lab() as lab:
        yield lab


def start_nginx_and_daemon(lab: Lab) -> None:
    for node in (lab.a, lab.b):
        node.write_nginx()
        node.start_nginx()
    lab.b.set_able(able=True)
    lab.a.start_daemon()
    wait_until(lambda: lab.a.value() == "0" and lab.a.read("/run/tandem/peer").startswith("answers"), "healthy")


def test_a_hung_nginx_is_a_fault_within_400_ms_and_recovers(lab: Lab) -> None:
    start_nginx_and_daemon(lab)
    lab.a.signal_nginx(signal.SIGSTOP)
    took = wait_until(lambda: lab.a.value() == "-254", "a fault", 1)
    print(f"{took * 1000:.0f} ms")
    lab.a.signal_nginx(signal.SIGCONT)
    wait_until(lambda: lab.a.value() == "0", "healthy again", 1)


def test_both_nginx_hung_is_not_a_fault(lab: Lab) -> None:
    start_nginx_and_daemon(lab)
    for node in (lab.a, lab.b):
        node.signal_nginx(signal.SIGSTOP)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert lab.a.value() == "0"


def test_a_hung_nginx_is_not_a_fault_while_the_peer_is_in_fault(lab: Lab) -> None:
    """The peer's nginx answers, but with both nodes in FAULT no node would hold the virtual IP."""
    start_nginx_and_daemon(lab)
    assert lab.a.run("sh", "-c", "test -e /run/tandem/able && echo able") == "able\n"
    lab.b.set_able(able=False)
    wait_until(lambda: lab.a.read("/run/tandem/peer").startswith("silent"), "the peer cannot take over", 1)
    lab.a.signal_nginx(signal.SIGSTOP)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert lab.a.value() == "0"
    lab.b.set_able(able=True)
    wait_until(lambda: lab.a.value() == "-254", "a fault", 1)
    assert lab.a.run("sh", "-c", "test -e /run/tandem/able || echo unable") == "unable\n"


def test_the_daemon_needs_little_processor_time_and_memory(lab: Lab) -> None:
    """The goals are 0.5 % of a core on an idle host and 15 MiB; a busy host doubles the time of the same work."""
    for node in (lab.a, lab.b):
        node.write_nginx(*(f"server {{ listen {port}; location / {{ return 200; }} }}" for port in (8080, 9090)))
        node.start_nginx()
    lab.b.set_able(able=True)
    request = "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"
    services = [
        {"name": str(port), "request": request, "patience_s": 0.25,
         "servers": [[lab.a.address, port], [lab.b.address, port]]}
        for port in (8080, 9090)
    ]  # fmt: skip
    daemon = lab.a.start_daemon(services=services, routers=["VI_1"])
    wait_until(lambda: lab.a.value() == "0", "healthy")
    time.sleep(1)
    before, began = processor_s(daemon.pid), time.monotonic()
    time.sleep(5)
    share = (processor_s(daemon.pid) - before) / (time.monotonic() - began)
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    memory_kib = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))
    print(f"{100 * share:.2f} % of a core, {memory_kib / 1024:.1f} MiB")
    assert share < 0.01
    assert memory_kib < 15 * 1024


def processor_s(pid: int) -> float:
    """User and system time of a process with one thread, in nanoseconds' resolution."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def test_a_daemon_that_was_paused_does_not_report_a_fault(lab: Lab) -> None:
    start_nginx_and_daemon(lab)
    daemon = lab.a.programs[-1]
    for _ in range(3):
        daemon.send_signal(signal.SIGSTOP)
        time.sleep(0.6)
        daemon.send_signal(signal.SIGCONT)
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            assert lab.a.value() == "0"


def test_a_fault_written_by_systemd_is_kept_until_nginx_answers(lab: Lab) -> None:
    start_nginx_and_daemon(lab)
    os.killpg(lab.a.programs[0].pid, signal.SIGKILL)
    lab.a.run("sh", "-c", "printf '%-31s\\n' -254 1<> /run/tandem/nginx")
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        assert lab.a.value() == "-254"
    lab.a.start_nginx()
    wait_until(lambda: lab.a.value() == "0", "healthy again", 1)


def test_nginx_answers_503_immediately_while_the_database_is_away_but_for_the_health_page(lab: Lab) -> None:
    lab.a.write_nginx(f"server {{ listen 8081; {WITHOUT_DATABASE} location / {{ return 200 ok; }} }}")
    lab.a.start_nginx()

    def status(path: str) -> str:
        return lab.a.run("curl", "-s", "-w", "%{http_code} %{content_type}", f"http://127.0.0.1:8081{path}")

    assert status("/login") == "ok200 application/json"
    lab.a.write("/run/tandem/database-away", "1")
    assert status("/login") == '{"code":100101,"message":"Database error"}503 application/json'
    assert status("/healthz").startswith("ok200")
    lab.a.run("rm", "/run/tandem/database-away")
    assert status("/v1/secrets").startswith("ok200")


@pytest.mark.parametrize("peer_is_master", [True, False])
def test_a_peer_that_is_master_too_is_reported_once(lab: Lab, peer_is_master: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    for node in (lab.a, lab.b):
        node.write_nginx()
        text = node.read("/etc/nginx/nginx.conf")
        node.write("/etc/nginx/nginx.conf", text.replace("listen 80;", f"listen 80; {MASTER_LOCATION}"))
        node.start_nginx()
        node.run("mkdir", "/run/tandem/master")
    lab.a.write("/run/tandem/master/VI_1", "")
    if peer_is_master:
        lab.b.write("/run/tandem/master/VI_1", "")
    lab.a.run("mkfifo", "/run/tandem/events")
    reader = lab.a.start("sh", "-c", "cat <> /run/tandem/events > /run/tandem/seen")
    assert reader.poll() is None
    lab.a.start_daemon(routers=["VI_1"])
    time.sleep(6)
    seen = lab.a.read("/run/tandem/seen").splitlines()
    assert seen.count('INSTANCE "VI_1" MASTER_RX_LOWER_PRI 0') == (1 if peer_is_master else 0), seen


MASTER_LOCATION = "location ^~ /healthz/master/ { alias /run/tandem/master/; }"

# ---- a dead peer -----------------------------------------------------------------------------------------------------

PORT = 8080
SERVICES = {
    "services": [
        {"name": "web", "request": "", "patience_s": 0.25, "servers": [["10.0.4.20", PORT], ["10.0.4.21", PORT]]}
    ]
}


@pytest.fixture
def pair(lab: Lab) -> Lab:
    """Node a balances over the service on both nodes; on b it runs in nginx."""
    for node in (lab.a, lab.b):
        node.write_nginx(f"server {{ listen {PORT}; location / {{ return 200 {node.name}; }} }}")
        node.start_nginx()
    lab.a.run("nft", "-f", "-", text=RULES)
    lab.a.start_daemon(**SERVICES)
    wait_until(lambda: lab.a.value() == "0", "healthy")
    time.sleep(0.3)
    return lab


RULES = """
table inet tandem_servers {
    set out { type ipv4_addr . inet_service; }
    chain output { type filter hook output priority filter; policy accept;
        meta mark != 0x74616e64 ip daddr . tcp dport @out reject with tcp reset
    }
}
"""

LISTEN = """
import socket, time
listeners = [socket.create_server(("0.0.0.0", port)) for port in (22, 3306)]
time.sleep(60)
"""

CLIENT = """
import socket, sys, time
ports = [int(word) for word in sys.argv[2].split(",")]
sockets = [socket.create_connection((sys.argv[1], port), 5) for port in ports]
print("connected", flush=True)
for each, sends in zip(sockets, sys.argv[3].split(",")):
    if sends == "request": each.sendall(b"GET / HTTP/1.1\\r\\n")
line = sys.stdin.readline()
began = time.monotonic()
for each, sends in zip(sockets, sys.argv[3].split(",")):
    if sends == "late": each.sendall(b"GET / HTTP/1.1\\r\\n")
for each in sockets:
    each.settimeout(5)
    try: each.recv(1); print("data", flush=True)
    except socket.timeout: print("timeout", flush=True)
    except OSError as error: print("reset", time.monotonic() - began, flush=True)
"""


def test_a_silent_peer_resets_idle_unacknowledged_and_acknowledged_requests_of_its_services_only(pair: Lab) -> None:
    pair.b.start("python3", "-c", LISTEN)
    wait_until(lambda: pair.b.run("ss", "-Hltn", "sport", "=", ":3306"), "the other ports")
    ports = f"{PORT},{PORT},{PORT},22,3306"
    command = pair.a.command("python3", "-c", CLIENT, pair.b.address, ports, "nothing,request,late,nothing,nothing")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        assert client.stdout.readline() == "connected\n"
        time.sleep(0.2)
        pair.unplug(pair.b)
        client.stdin.write("go\n")
        client.stdin.flush()
        seen = [client.stdout.readline().split() for _ in range(5)]
    print(seen)
    assert [each[0] for each in seen] == ["reset", "reset", "reset", "timeout", "timeout"]
    assert all(float(each[1]) < 0.5 for each in seen[:3])


CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.5)
    print("open")
except OSError as error:
    print(type(error).__name__)
"""


def connect(lab: Lab, address: str, port: int) -> str:
    return lab.a.run("python3", "-c", CONNECT, address, str(port)).strip()


def test_a_silent_peer_is_used_again_after_its_service_has_passed_its_checks(pair: Lab) -> None:
    pair.unplug(pair.b)
    wait_until(lambda: connect(pair, pair.b.address, PORT) == "ConnectionRefusedError", "refused at once")
    assert connect(pair, pair.b.address, 22) == "TimeoutError"
    assert connect(pair, pair.a.address, PORT) == "open"
    os.killpg(pair.b.programs[0].pid, signal.SIGKILL)
    pair.plug(pair.b)
    time.sleep(0.5)
    assert "10.0.4.21" in pair.a.run("nft", "list", "set", "inet", "tandem_servers", "out"), "the service is not back"
    pair.b.start_nginx()
    wait_until(lambda: connect(pair, pair.b.address, PORT) == "open", "used again", 2)


def test_a_service_that_hangs_on_this_node_is_taken_out_until_it_answers(lab: Lab) -> None:
    for node in (lab.a, lab.b):
        node.write_nginx()
        node.start_nginx()
    web = [node.start("python3", "-m", "http.server", str(PORT), "--bind", node.address) for node in (lab.a, lab.b)]
    lab.a.run("nft", "-f", "-", text=RULES)
    wait_until(lambda: connect(lab, lab.b.address, PORT) == "open", "the service")
    request = "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"
    lab.a.start_daemon(services=[{**SERVICES["services"][0], "request": request}])
    wait_until(lambda: lab.a.value() == "0", "healthy")
    time.sleep(0.5)
    web[0].send_signal(signal.SIGSTOP)
    took = wait_until(lambda: connect(lab, lab.a.address, PORT) == "ConnectionRefusedError", "refused", 2)
    print(f"{took * 1000:.0f} ms")
    web[1].send_signal(signal.SIGSTOP)
    time.sleep(0.6)
    assert lab.b.address not in lab.a.run("nft", "list", "set", "inet", "tandem_servers", "out"), "the last one stays"
    web[0].send_signal(signal.SIGCONT)
    wait_until(lambda: connect(lab, lab.a.address, PORT) == "open", "used again", 2)
