"""The programs of samples/web, as processes on loopback."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.websocket import open_websocket

_WEB = Path(__file__).parents[2] / "samples" / "web"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def running(program: str) -> Generator[int]:
    port = free_port()
    environment = {**os.environ, "ADDRESS": "127.0.0.1", "PORT": str(port), "NODE": "iam-a"}
    process = subprocess.Popen([sys.executable, str(_WEB / program)], env=environment, stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def test_the_api_answers_several_requests_on_one_connection() -> None:
    with running("api/bin/api") as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        for _ in range(2):
            connection.request("GET", "/api/version")
            assert connection.getresponse().read() == b'{"version": "1", "node": "iam-a"}'
        connection.request("POST", "/api/echo", body=b"x" * 100_000)
        assert connection.getresponse().read() == b"x" * 100_000
        connection.request("GET", "/other")
        assert connection.getresponse().status == 404
        connection.close()


def test_the_websocket_returns_short_and_long_messages() -> None:
    with running("api/bin/api") as port, open_websocket("127.0.0.1", port, "/ws") as echo:
        for message in ("hello", "x" * 70_000):
            assert echo(message) == message


def test_the_tcp_service_greets_and_returns_lines() -> None:
    with running("echo/bin/echo") as port, socket.create_connection(("127.0.0.1", port), 5) as connection:
        lines = connection.makefile("rwb")
        assert lines.readline() == b"echo on iam-a\n"
        lines.write(b"hello\n")
        lines.flush()
        assert lines.readline() == b"hello\n"
        lines.close()
