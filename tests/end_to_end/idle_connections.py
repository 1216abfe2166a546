"""Holds idle TLS connections while it asks on new ones: idle_connections.py ADDRESS HOST CA-FILE COUNT SECONDS.

Prints as JSON how many were opened and are still open at the end, and the status of each request.
"""

from __future__ import annotations

import json
import resource
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor

REQUEST = "GET /healthz HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"


def connect(address: str, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection((address, 443), 10), server_hostname=host)


def ask(connection: ssl.SSLSocket, host: str, more: str = "") -> int:
    """Returns the status code; 0 if the connection ended."""
    connection.sendall(REQUEST.format(host=host, more=more).encode())
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(4096)
        if not part:
            return 0
        received += part
    return int(received.split()[1])


def is_open(connection: ssl.SSLSocket) -> bool:
    connection.setblocking(False)
    try:
        return bool(connection.recv(1))  # the rest of a response, or nothing: closed
    except ssl.SSLWantReadError:
        return True
    except OSError:
        return False


def main(address: str, host: str, ca: str, count: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 1000, count + 1000))
    context = ssl.create_default_context(cafile=ca)
    held: list[ssl.SSLSocket] = []

    def hold(_number: int) -> bool:
        connection = connect(address, host, context)
        held.append(connection)
        return ask(connection, host) == 200  # without a request nginx would close it after 10 s

    with ThreadPoolExecutor(16) as pool:
        opened = sum(pool.map(hold, range(count)))
    statuses: list[int] = []
    for _ in range(seconds):
        began = time.monotonic()
        try:
            with connect(address, host, context) as connection:
                statuses.append(ask(connection, host, "Connection: close\r\n"))
        except OSError:
            statuses.append(0)
        time.sleep(max(0.0, 1 - (time.monotonic() - began)))
    print(json.dumps({"opened": opened, "open": sum(map(is_open, held)), "statuses": statuses}))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(given[0], given[1], given[2], int(given[3]), int(given[4]))
