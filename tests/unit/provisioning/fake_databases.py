"""Fakes of Redis and MariaDB that listen on loopback."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

PASSWORD = "Redis-1234"
SCRAMBLE = bytes(range(1, 21))  # in MariaDB's greeting


@contextmanager
def serving(handle: Callable[[Any], None]) -> Generator[int]:
    """Serve TCP connections on loopback. Yields the port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            handle(self)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class FakeRedis:
    """Some commands of Redis: AUTH, PTTL, LLEN, DEL."""

    def __init__(self) -> None:
        self.expected = ""  # another password than PASSWORD
        self.refuses = ""  # the error of each command but AUTH and PTTL
        self.lock_ms = -2  # no lock
        self.queued = 0
        self.deleted: list[str] = []

    def handle(self, connection: Any) -> None:
        while line := connection.rfile.readline():
            words: list[str] = []
            for _ in range(int(line[1:])):
                size = int(connection.rfile.readline()[1:])
                words.append(connection.rfile.read(size + 2)[:-2].decode())
            connection.wfile.write(self._answer(words).encode() + b"\r\n")

    def _answer(self, words: list[str]) -> str:
        match words:
            case ["AUTH", password]:
                return "+OK" if password == PASSWORD else "-WRONGPASS invalid username-password pair"
            case ["PTTL", "iam-pump"]:
                return f":{self.lock_ms}"
            case _ if self.refuses:
                return f"-{self.refuses}"
            case ["PING"]:
                return "+PONG"
            case ["LLEN", "analytics-iam-system-analytics"]:
                return f":{self.queued}"
            case ["DEL", key]:
                self.deleted.append(key)
                self.lock_ms = -2
                return ":1"
            case _:
                return f"-ERR unknown command {words[0]}"


def greeting() -> bytes:
    """A HandshakeV10 packet (MariaDB's protocol, "Initial handshake packet")."""
    payload = b"\x0a10.11.6-MariaDB\0" + struct.pack("<I", 7) + SCRAMBLE[:8] + b"\0" + b"\xfe\xf7\x21\x02\x00\xff\x81"
    payload += b"\x15" + bytes(10) + SCRAMBLE[8:] + b"\0mysql_native_password\0"
    return packet(0, payload)


def packet(number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload
