"""A WebSocket client for tests (RFC 6455): it sends a text message and returns the answer.

`python tests/websocket.py HOST PORT PATH MESSAGE [SERVER_NAME]` does so once, over TLS with a server name.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def open_websocket(host: str, port: int, path: str, server_name: str = "") -> Generator[Callable[[str], str]]:
    with socket.create_connection((host, port), 5) as plain:
        connection = plain
        if server_name:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection = context.wrap_socket(plain, server_hostname=server_name)
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {server_name or host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        stream = connection.makefile("rb")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (line := stream.readline()):
                raise ConnectionError(f"the WebSocket was refused: {head!r}")
            head += line
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(f"the WebSocket was refused: {head!r}")

        def echo(message: str) -> str:
            payload, mask = message.encode(), os.urandom(4)
            masked = bytes(byte ^ mask[number % 4] for number, byte in enumerate(payload))
            connection.sendall(b"\x81\xff" + len(payload).to_bytes(8, "big") + mask + masked)
            length = stream.read(2)[1]
            if length >= 126:
                length = int.from_bytes(stream.read(2 if length == 126 else 8), "big")
            return stream.read(length).decode()

        try:
            yield echo
        finally:
            stream.close()
            if connection is not plain:
                connection.close()


if __name__ == "__main__":
    name = sys.argv[5] if len(sys.argv) > 5 else ""
    with open_websocket(sys.argv[1], int(sys.argv[2]), sys.argv[3], name) as send:
        print(send(sys.argv[4]))
