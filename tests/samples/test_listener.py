"""Connections of the services as seen by nginx: drain, TLS, access log and errors."""

from __future__ import annotations

import errno
import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from iam_site import Site

from samples.iam.stand_in.journal import Journal
from samples.iam.stand_in.messages import Request, Response, healthz
from samples.iam.stand_in.web import Listener, drop_new_connections, server_context


class Slow:
    """A handler that responds when `go_on` is set."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, request: Request) -> Response:
        self.asked.set()
        assert self.go_on.wait(5)
        return healthz(request)


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def slow(log: io.StringIO) -> Iterator[tuple[Slow, Listener]]:
    answer = Slow()
    listener = Listener(("127.0.0.1", 0), answer, Journal("iam", [log]))
    listener.start()
    yield answer, listener
    answer.go_on.set()
    listener.drain(2)


def connect(listener: Listener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port), timeout=5)


REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return data


def test_a_drain_waits_for_the_running_request_and_closes_its_connection(slow: tuple[Slow, Listener]) -> None:
    answer, listener = slow
    with connect(listener) as connection:
        connection.sendall(REQUEST)
        assert answer.asked.wait(5)
        drained: list[bool] = []
        thread = threading.Thread(target=lambda: drained.append(listener.drain(5)))
        thread.start()
        time.sleep(0.2)
        answer.go_on.set()
        received = read_all(connection)
        thread.join(5)
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"Connection: close" in received
    assert drained == [True]


def test_a_drain_does_not_wait_for_idle_connections(slow: tuple[Slow, Listener]) -> None:
    answer, listener = slow
    answer.go_on.set()
    with connect(listener) as connection:
        connection.sendall(REQUEST)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")
        began = time.monotonic()
        assert listener.drain(5)
        assert time.monotonic() - began < 1
        assert connection.recv(10) == b""


def test_a_drain_stops_at_its_deadline(slow: tuple[Slow, Listener]) -> None:
    answer, listener = slow
    with connect(listener) as connection:
        connection.sendall(REQUEST)
        assert answer.asked.wait(5)
        assert not listener.drain(0.2)


def test_a_drain_closes_the_listening_socket(log: io.StringIO) -> None:
    listener = Listener(("127.0.0.1", 0), healthz, Journal("iam", [log]))
    listener.start()
    assert listener.drain(1)
    with pytest.raises(ConnectionRefusedError):
        connect(listener).close()


class Unprivileged(socket.socket):
    """A socket on a kernel that refuses the filters of a process without privileges."""

    def setsockopt(self, *_arguments: Any, **_options: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")


def test_a_kernel_that_refuses_the_filter_lets_at_most_one_connection_wait() -> None:
    with Unprivileged() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        drop_new_connections(listening)
        with socket.create_connection(listening.getsockname(), timeout=5):
            with pytest.raises(TimeoutError):
                socket.create_connection(listening.getsockname(), timeout=0.2).close()
            listening.accept()[0].close()


def test_a_drain_under_load_resets_no_accepted_connection(log: io.StringIO) -> None:
    outcomes: list[bytes] = []
    for _ in range(5):
        listener = Listener(("127.0.0.1", 0), healthz, Journal("iam", [log]))
        listener.start()
        clients = [threading.Thread(target=lambda: outcomes.extend(send_until_refused(listener))) for _ in range(6)]  # noqa: B023 - joined below
        for client in clients:
            client.start()
        time.sleep(0.05)
        assert listener.drain(5)
        for client in clients:
            client.join(10)
            assert not client.is_alive()
    assert len(outcomes) > 30
    assert {outcome[:15] for outcome in outcomes} == {b"HTTP/1.1 200 OK"}


def send_until_refused(listener: Listener) -> Iterator[bytes]:
    """Send requests on new connections. Yield each response, or the error on an accepted connection."""
    while True:
        try:
            connection = connect(listener)
        except ConnectionRefusedError:
            return
        with connection:
            try:
                connection.sendall(REQUEST.replace(b"Host: x", b"Host: x\r\nConnection: close"))
                yield read_all(connection)
            except OSError as error:
                yield repr(error).encode()


def test_a_drain_serves_a_connection_whose_request_has_not_arrived(log: io.StringIO) -> None:
    listener = Listener(("127.0.0.1", 0), healthz, Journal("iam", [log]))
    with connect(listener) as connection:  # waits in the kernel's queue: the listener has not started
        listener.start()
        drained: list[bool] = []
        thread = threading.Thread(target=lambda: drained.append(listener.drain(5)))
        thread.start()
        time.sleep(0.3)
        connection.sendall(REQUEST)
        assert read_all(connection).startswith(b"HTTP/1.1 200 OK")
        thread.join(5)
    assert drained == [True]


def test_a_client_with_an_unfinished_tls_handshake_does_not_block_other_clients(
    certificates: Path, log: io.StringIO
) -> None:
    context = server_context(str(certificates / "node.crt"), str(certificates / "node.key"))
    listener = Listener(("127.0.0.1", 0), healthz, Journal("iam", [log]), tls=context)
    listener.start()
    client = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    with connect(listener), connect(listener) as raw:
        with client.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
            connection.sendall(REQUEST.replace(b"Host: x", b"Host: x\r\nConnection: close"))
            assert read_all(connection).startswith(b"HTTP/1.1 200 OK")
        listener.drain(0.1)


def test_a_client_that_trusts_another_ca_causes_one_log_line(certificates: Path, log: io.StringIO) -> None:
    context = server_context(str(certificates / "node.crt"), str(certificates / "node.key"))
    listener = Listener(("127.0.0.1", 0), healthz, Journal("iam", [log]), tls=context)
    listener.start()
    with connect(listener) as raw, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(raw, server_hostname="127.0.0.1")
    until = time.monotonic() + 5
    while "connection ended early" not in log.getvalue():
        assert time.monotonic() < until
        time.sleep(0.01)
    listener.drain(1)
    assert "Traceback" not in log.getvalue()


def test_each_request_writes_one_access_log_line_with_the_forwarded_client_address(iam: Site) -> None:
    iam.send("apiserver", "GET", "/healthz?probe=7", None, {"X-Forwarded-For": "198.51.100.10"})
    (line,) = [line for line in iam.log.getvalue().splitlines() if "probe=7" in line]
    assert re.search(
        r'^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\tINFO\t.*200 - \[198\.51\.100\.10\] "[0-9.]+ms GET /healthz\?probe=7"',
        line,
    )


def test_one_connection_serves_many_requests(iam: Site) -> None:
    connection = iam.connect("apiserver")
    for _ in range(3):
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b'{"status":"ok"}')
    connection.close()


def test_a_request_body_without_a_length_is_refused(iam: Site) -> None:
    assert iam.send("apiserver", "POST", "/login", "0\r\n\r\n", {"Transfer-Encoding": "chunked"})[0] == 411


def test_an_internal_error_returns_status_500_and_is_logged(log: io.StringIO) -> None:
    def broken(_: Request) -> Response:
        raise ZeroDivisionError

    listener = Listener(("127.0.0.1", 0), broken, Journal("iam", [log]))
    listener.start()
    with connect(listener) as connection:
        connection.sendall(REQUEST)
        received = connection.recv(65536)
    listener.drain(1)
    assert received.startswith(b"HTTP/1.1 500 ")
    assert b'"code":1' in received
    assert "ZeroDivisionError" in log.getvalue()


def test_an_address_in_use_is_an_error_at_startup(log: io.StringIO) -> None:
    listener = Listener(("127.0.0.1", 0), healthz, Journal("iam", [log]))
    with pytest.raises(OSError, match="Address already in use"):
        Listener(("127.0.0.1", listener.port), healthz, Journal("iam", [log]))
    listener.start()
    listener.drain(1)
