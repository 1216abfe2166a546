"""How nginx distributes requests, and what a failed, hung or absent server costs."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from provisioning.agent.upstreams import mark_down
from tests.nginx.backends import Backend, echoes, free_port
from tests.nginx.lab import Lab, running

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
HOST = "www.example.com"
UPSTREAMS = "/etc/nginx/conf.d/upstreams.conf"


@contextmanager
def balanced(
    directory: Path, count: int = 3, options: Callable[[int], dict[str, Any]] = lambda _: {}, **settings: Any
) -> Generator[tuple[Lab, list[Backend]]]:
    """Nginx in front of backends on 127.0.0.11, 127.0.0.12 ..., which have one upstream."""
    own = settings.pop("nginx", {})
    with ExitStack() as stack:
        backends = [Backend(f"b{number}", f"127.0.0.1{number}") for number in range(1, count + 1)]
        port = free_port()
        for backend in backends:
            backend.start(port)
            stack.callback(backend.stop)
        servers = [{"address": each.address, "port": port, **options(n)} for n, each in enumerate(backends)]
        nginx = {
            "upstreams": {"web": {"servers": servers, **settings}},
            "sites": [{"hosts": [HOST], "http": "serve", "https": False, "locations": [{"path": "/", "proxy": "web"}]}],
            **own,
        }
        yield stack.enter_context(running(directory, nginx)), backends


def distribution(lab: Lab, paths: list[str], **options: Any) -> Counter[str]:
    """The number of requests by backend."""
    return Counter(json.loads(lab.send("GET", HOST, path, tls=False, **options).body)["backend"] for path in paths)


def test_requests_go_to_all_servers_in_turn(tmp_path: Path) -> None:
    with balanced(tmp_path) as (lab, _):
        assert distribution(lab, ["/"] * 30) == {"b1": 10, "b2": 10, "b3": 10}


def test_weights_down_and_backup(tmp_path: Path) -> None:
    given = [{"weight": 3}, {}, {"backup": True}, {"down": True}]
    with balanced(tmp_path, 4, lambda n: given[n]) as (lab, backends):
        assert distribution(lab, ["/"] * 20) == {"b1": 15, "b2": 5}
        for backend in backends[:2]:
            backend.stop()
        lab.send("GET", HOST, "/", tls=False)  # two tries, at the two servers that have just failed
        assert distribution(lab, ["/"] * 4) == {"b3": 4}


def test_ip_hash_keeps_a_client_on_its_server(tmp_path: Path) -> None:
    with balanced(tmp_path, method="ip-hash") as (lab, _):
        # It hashes the first three octets of an IPv4 address.
        by_client = [distribution(lab, ["/"] * 4, source=f"127.{n}.0.1") for n in range(1, 12)]
        assert {len(each) for each in by_client} == {1}
        assert len({name for each in by_client for name in each}) > 1


@pytest.mark.parametrize("settings", [{"method": "url-hash"}, {"method": "hash", "hashKey": "$arg_user"}])
def test_a_removed_server_only_moves_its_own_keys(tmp_path: Path, settings: dict[str, Any]) -> None:
    paths = [f"/?user={n}" for n in range(15)]
    with balanced(tmp_path, **settings) as (lab, backends):
        before = {path: next(iter(distribution(lab, [path, path]))) for path in paths}
        assert len(set(before.values())) == 3
        backends[0].stop()
        after = {path: next(iter(distribution(lab, [path]))) for path in paths}
    assert {path for path in paths if before[path] != after[path]} == {p for p in paths if before[p] == "b1"}


def test_least_conn_avoids_the_busy_server(tmp_path: Path) -> None:
    with balanced(tmp_path, 2, method="least-conn") as (lab, _), ThreadPoolExecutor() as pool:
        slow = pool.submit(lab.send, "GET", HOST, "/slow/1.5", tls=False)
        time.sleep(0.3)
        quick = distribution(lab, ["/"] * 6)
        busy = json.loads(slow.result().body)["backend"]
    assert set(quick) == {"b1", "b2"} - {busy}


def test_max_conns_limits_each_server(tmp_path: Path) -> None:
    with balanced(tmp_path, 2, lambda _: {"maxConns": 1}) as (lab, _), ThreadPoolExecutor() as pool:
        sent = [pool.submit(lab.send, "GET", HOST, "/slow/1", tls=False) for _ in range(4)]
        assert sorted(each.result().status for each in sent) == [200, 200, 502, 502]


@pytest.mark.parametrize(("keepalive", "connections"), [(8, 1), (0, 5)])
def test_keepalive_reuses_connections(tmp_path: Path, keepalive: int, connections: int) -> None:
    with balanced(tmp_path, 1, keepalive=keepalive, nginx={"workerProcesses": 1}) as (lab, backends):
        assert [lab.send("GET", HOST, "/", tls=False).status for _ in range(5)] == [200] * 5
        assert len(backends[0].connections) == connections


def test_an_absent_server_costs_no_error_and_no_time(tmp_path: Path) -> None:
    with balanced(tmp_path, 2) as (lab, backends):
        backends[0].stop()
        began = time.monotonic()
        assert [lab.send("GET", HOST, "/", tls=False).status for _ in range(20)] == [200] * 20
        assert time.monotonic() - began < 5


def test_one_failed_request_on_the_last_server_does_not_stop_the_others(tmp_path: Path) -> None:
    """With `max_fails=1` and no last resort, nginx answers all requests with 502 for `fail_timeout`."""
    with balanced(tmp_path, 2, nginx={"readTimeoutS": 1}) as (lab, backends):
        backends[0].stop()
        # One request reaches its time-out on the only server that is left.
        assert lab.send("POST", HOST, "/slow/2", tls=False, body=b"").status in {502, 504}
        assert lab.send("POST", HOST, "/slow/2", tls=False, body=b"").status in {502, 504}
        assert [lab.send("GET", HOST, "/", tls=False).status for _ in range(20)] == [200] * 20


def test_a_failed_request_while_the_other_server_is_taken_out_does_not_stop_the_others(tmp_path: Path) -> None:
    """In a rollout: nginx does not treat the last server as the only one while another is marked as down."""
    with balanced(tmp_path, 2, nginx={"readTimeoutS": 1}) as (lab, backends):
        path = lab.path(UPSTREAMS)
        path.write_text(mark_down(path.read_text(), "127.0.0.11", None))
        lab.reload()
        assert lab.send("POST", HOST, "/slow/2", tls=False, body=b"").status in {502, 504}
        port = backends[1].port
        backends[1].stop()
        assert lab.send("GET", HOST, "/", tls=False).status == 502
        backends[1].stopping.clear()
        backends[1].start(port)
        assert [lab.send("GET", HOST, "/", tls=False).status for _ in range(20)] == [200] * 20


def test_a_restart_of_the_last_server_costs_errors_only_while_it_lasts(tmp_path: Path) -> None:
    with balanced(tmp_path, 2) as (lab, backends):
        backends[0].stop()
        port = backends[1].port
        backends[1].stop()
        assert {lab.send("GET", HOST, "/", tls=False).status for _ in range(5)} == {502}
        backends[1].stopping.clear()
        backends[1].start(port)
        assert [lab.send("GET", HOST, "/", tls=False).status for _ in range(10)] == [200] * 10


def test_a_hung_server_costs_one_time_out_and_not_half_of_the_requests(tmp_path: Path) -> None:
    with balanced(tmp_path, 2, nginx={"readTimeoutS": 1, "failTimeoutS": 30}) as (lab, backends):
        backends[0].hangs = True
        took: list[float] = []
        for _ in range(30):
            began = time.monotonic()
            assert lab.send("GET", HOST, "/", tls=False).status == 200  # repeated on the other server
            took.append(time.monotonic() - began)
        assert sum(each > 0.9 for each in took) == 1
        assert max(took) < 3


def test_the_default_timeouts_bound_what_a_hung_server_costs(tmp_path: Path) -> None:
    with balanced(tmp_path, 2) as (lab, _):
        text = lab.path("/etc/nginx/conf.d/site-www.example.com.conf").read_text()
        assert "proxy_connect_timeout 1s;" in text
        assert "proxy_read_timeout 15s;" in text
        assert "max_fails=1 fail_timeout=10s;" in lab.path(UPSTREAMS).read_text()


@pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK"])
def test_a_request_that_is_not_idempotent_is_never_repeated(tmp_path: Path, method: str) -> None:
    with balanced(tmp_path, 2, nginx={"readTimeoutS": 1}) as (lab, backends):
        for backend in backends:
            backend.hangs = True
        assert lab.send(method, HOST, "/", tls=False, body=b"x").status == 504
        assert sum(len(backend.received) for backend in backends) == 1


def test_an_idempotent_request_is_repeated_once(tmp_path: Path) -> None:
    with balanced(tmp_path, 3, nginx={"readTimeoutS": 1}) as (lab, backends):
        for backend in backends:
            backend.hangs = True
        assert lab.send("GET", HOST, "/", tls=False).status == 504
        assert sum(len(backend.received) for backend in backends) == 2


def test_a_server_that_the_agent_marks_as_down_gets_no_requests(tmp_path: Path) -> None:
    with balanced(tmp_path) as (lab, backends):
        path = lab.path(UPSTREAMS)
        path.write_text(mark_down(path.read_text(), "127.0.0.12", None))
        lab.reload()
        assert distribution(lab, ["/"] * 10) == {"b1": 5, "b3": 5}
        # Also when the others fail: the last resort leaves it out.
        for backend in (backends[0], backends[2]):
            backend.stop()
        assert {lab.send("GET", HOST, "/", tls=False).status for _ in range(4)} == {502}
        assert not backends[1].received


def test_the_last_server_of_an_upstream_stays(tmp_path: Path) -> None:
    with balanced(tmp_path, 2) as (lab, _):
        text = lab.path(UPSTREAMS).read_text()
        one = mark_down(text, "127.0.0.11", None)
        assert mark_down(one, "127.0.0.12", None) == one


def test_streams_of_tcp_and_udp(tmp_path: Path) -> None:
    with echoes("one", "two") as tcp, echoes("d1", "d2", udp=True) as udp:
        nginx = {
            "upstreams": {
                "t": {"servers": [{"address": "127.0.0.1", "port": port} for port in tcp]},
                "u": {"servers": [{"address": "127.0.0.1", "port": port} for port in udp]},
            },
            "streams": [
                {"port": 7001, "upstream": "t"},
                {"port": 7002, "upstream": "u", "protocol": "udp", "udpResponses": 1},
                {"port": 7003, "upstream": "t", "tls": {"host": "tcp.example.com"}},
                {"port": 7004, "upstream": "t", "allow": ["127.0.1.0/24"]},
                {"port": 7005, "upstream": "t", "maxConnections": 1},
                {"port": 7006, "upstream": "t", "timeoutS": 1},
                {"port": 7007, "upstream": "t", "allow": ["127.0.0.0/8", "127.0.1.5/32"], "deny": ["127.0.1.0/24"]},
            ],
        }  # fmt: skip
        with running(tmp_path, nginx) as lab:
            _check_streams(lab)
            lines = lab.path("/var/log/nginx/stream.log").read_text().splitlines()
            assert any(" TCP " in line and "upstream=127.0.0.1:" in line for line in lines)


def _check_streams(lab: Lab) -> None:
    import socket  # noqa: PLC0415 - only here

    def ask(sock: socket.socket) -> bytes:
        with sock:
            try:
                sock.sendall(b"x")
                return sock.recv(100)
            except ConnectionError:
                return b""

    def open_tcp(port: int, source: str = "127.0.0.1") -> socket.socket:
        return lab.connect("", tls=False, port=port, source=source)

    assert {ask(open_tcp(7001)) for _ in range(4)} == {b"one:x", b"two:x"}
    answers: set[bytes] = set()
    for _ in range(4):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.sendto(b"y", ("127.0.0.1", lab.ports[7002]))
            answers.add(sock.recv(100))
    assert answers == {b"d1:y", b"d2:y"}
    assert ask(lab.trust.wrap_socket(open_tcp(7003), server_hostname="tcp.example.com")).endswith(b":x")
    assert ask(open_tcp(7004)) == b""
    assert ask(open_tcp(7004, "127.0.1.5")).endswith(b":x")
    served = {source: ask(open_tcp(7007, source)) != b"" for source in ("127.0.0.1", "127.0.1.4", "127.0.1.5")}
    assert served == {"127.0.0.1": True, "127.0.1.4": False, "127.0.1.5": True}
    with open_tcp(7005) as first:
        first.sendall(b"x")
        first.recv(100)
        assert ask(open_tcp(7005)) == b""
    with open_tcp(7006) as idle:
        idle.settimeout(5)
        assert idle.recv(100) == b""


def test_tls_pass_through_by_server_name(tmp_path: Path) -> None:
    """Nginx forwards the TLS connection unopened: each upstream presents its own certificate."""
    import trustme  # noqa: PLC0415 - only here

    from tests.nginx.tls_servers import tls_echo  # noqa: PLC0415 - only here

    ca = trustme.CA()
    # Keywords of nginx's `map`, as host names.
    words = ("default", "hostnames", "include", "volatile")
    with tls_echo(ca, "a.example.com") as a, tls_echo(ca, "b.example.com") as b, tls_echo(ca, *words) as c:
        nginx = {
            "upstreams": {"a": {"servers": [{"address": "127.0.0.1", "port": a}]},
                          "b": {"servers": [{"address": "127.0.0.1", "port": b}]},
                          "c": {"servers": [{"address": "127.0.0.1", "port": c}]}},
            "streams": [{"port": 7443, "serverNames": {
                "a.example.com": "a", "*.example.com": "b", **dict.fromkeys(words, "c")}}],
        }  # fmt: skip
        with running(tmp_path, nginx, ca=ca) as lab:
            for name in ("a.example.com", "b.example.com", *words):
                sock = lab.trust.wrap_socket(lab.connect("", tls=False, port=7443), server_hostname=name)
                with sock:
                    assert sock.recv(100) == (words[0] if name in words else name).encode()
            with pytest.raises(OSError):  # noqa: PT011 - the message depends on the moment
                lab.trust.wrap_socket(lab.connect("", tls=False, port=7443), server_hostname="other.test")
