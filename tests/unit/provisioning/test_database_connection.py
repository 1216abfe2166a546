"""The health daemon's connection to a database that hangs, is silent, or is none. tests/samples has a real MariaDB."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioning.programs.health_daemon.database import HANDSHAKE_S, Database
from provisioning.programs.health_daemon.judgement import Tracker
from provisioning.programs.health_daemon.probes import Prober

GREETING = b"\x0a11.4\0" + bytes(4) + b"12345678" + bytes(19) + b"123456789012" + b"\0"
OK = b"\0\0\0\2\0\0\0"


def packet(number: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "little") + bytes([number]) + content


class Server:
    """Accepts logins and answers pings while `answers` is true."""

    def __init__(self, greeting: bytes = packet(0, GREETING)) -> None:
        self.greeting, self.answers, self.logins = greeting, True, 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.sendall(self.greeting)
            while data := connection.recv(4096):
                login = data[4:] != b"\x0e"
                self.logins += login
                if self.answers or login:
                    connection.sendall(packet(2 if login else 1, OK))

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Watch:
    """The daemon's loop, with a clock that can be set forward."""

    def __init__(self, port: int) -> None:
        self.prober, self.tracker, self.ahead_s = Prober(), Tracker(0.25), 0.0
        settings = {"host": "127.0.0.1", "port": str(port), "user": "iam", "password": "p"}
        self.database = Database(settings, self.tracker, watch=self.prober.watch, forget=self.prober.forget)

    def run(self, seconds: float, until: Callable[[], bool]) -> float:
        """Returns the time until the condition was true, or infinity."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            now = time.monotonic() + self.ahead_s
            self.database.step(now)
            self.prober.wait(0.01)
            self.tracker.judge(now)
            if until():
                return time.monotonic() - began
        return float("inf")


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def test_a_ping_that_is_never_answered_ends_the_connection_after_the_limit_of_a_handshake(server: Server) -> None:
    watch = Watch(server.port)
    watch.run(20, lambda: watch.database.ready)
    server.answers = False
    watch.run(20, lambda: watch.tracker.failing)
    assert watch.run(1.5, lambda: server.logins > 1) == float("inf"), "a server that hangs is not asked again and again"
    server.answers = True
    watch.ahead_s = HANDSHAKE_S
    watch.run(20, lambda: not watch.tracker.failing)
    assert (watch.tracker.failing, server.logins) == (False, 2)
    watch.database.close(0)


@pytest.mark.parametrize(
    "greeting",
    [
        pytest.param(packet(0, b""), id="an empty packet"),
        pytest.param(packet(0, b"\x0a11.4"), id="no end of the version"),
        pytest.param(packet(0, GREETING[:20]) * 2, id="short packets"),
    ],
)
def test_a_server_that_is_not_mariadb_is_a_failure(greeting: bytes) -> None:
    server = Server(greeting)
    watch = Watch(server.port)
    assert watch.run(20, lambda: watch.tracker.failing) < float("inf")
    assert watch.tracker.seen == "another server than MariaDB answers at its port"
    assert not watch.database.ready
    server.close()


@pytest.mark.root
def test_a_node_that_returns_after_a_power_failure_is_noticed_within_a_second(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_database_connection; test_database_connection.lose_power()\n"
    )
    command = ["unshare", "--net", sys.executable, str(script)]
    subprocess.run(command, check=True, timeout=60, env={"PATH": "/usr/sbin:/usr/bin", "PYTHONPATH": str(Path.cwd())})


def lose_power() -> None:
    """Runs in a network namespace whose packets can be dropped."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server = Server()
    watch = Watch(server.port)
    assert watch.run(5, lambda: watch.database.ready) < 5
    drop = "add table t; add chain t c { type filter hook input priority 0; policy drop; }"
    subprocess.run(["nft", drop], check=True)
    assert watch.run(2, lambda: watch.tracker.failing) < 1
    watch.run(8, lambda: False)  # the kernel's retransmissions would be 6 s apart by now
    subprocess.run(["nft", "delete table t"], check=True)
    assert watch.run(4, lambda: not watch.tracker.failing) < 1
