"""Small servers behind nginx: HTTP, WebSocket, TCP and UDP."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """A request that a backend has received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Backend:
    """An HTTP server that answers with a description of the request; the path selects other answers."""

    name: str
    address: str = "127.0.0.1"
    hangs: bool = False  # accepts requests and never answers
    reading: int = 0  # requests whose body is not complete
    received: list[Received] = field(default_factory=list[Received])
    connections: list[socket.socket] = field(default_factory=list[socket.socket])
    server: ThreadingHTTPServer | None = None
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        assert self.server
        return self.server.server_address[1]

    def start(self, port: int = 0) -> None:
        backend = self

        class Handler(_Handler):
            owner = backend

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

            def process_request(self, request: Any, client_address: Any) -> None:
                backend.connections.append(request)
                super().process_request(request, client_address)

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Ignore clients that have disconnected."""

        self.server = Server((self.address, port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Close the port and all connections, as a killed process does."""
        if self.server:
            self.stopping.set()
            self.server.shutdown()
            self.server.server_close()
            for connection in self.connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    owner: Backend
    protocol_version = "HTTP/1.1"
    timeout = 20

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._respond
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Quiet."""

    def _respond(self) -> None:
        self.owner.reading += 1
        body = self._read_body()
        self.owner.reading -= 1
        self.owner.received.append(Received(self.command, self.path, dict(self.headers.items()), body))
        if self.owner.hangs:
            self.owner.stopping.wait(20)
            self.close_connection = True
            return
        if self.headers.get("Upgrade") == "websocket":
            self._echo()
            return
        path = self.path.partition("?")[0]
        parts = path.strip("/").split("/")
        headers: dict[str, str] = {"Access-Control-Allow-Origin": "*"} if "own-cors" in parts else {}
        status, content = 200, json.dumps({
            "backend": self.owner.name, "method": self.command, "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()}, "body": len(body),
        }).encode()  # fmt: skip
        if "status" in parts:
            status = int(parts[-1])
        if "slow" in parts:
            time.sleep(float(parts[-1]))
        if "large" in parts:
            content = b'{"text": "' + b"x" * 20_000 + b'"}'
        if "headers" in parts:
            headers["X-Long"] = "y" * int(parts[-1])
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _echo(self) -> None:
        """Accept the upgrade, then return each byte."""
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        self.wfile.flush()
        while data := self.connection.recv(100):
            self.connection.sendall(data)
        self.close_connection = True


class _TcpEcho(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        name: bytes = self.server.name  # pyright: ignore[reportAttributeAccessIssue] - set by `echoes`
        while data := self.request.recv(1000):
            self.request.sendall(name + b":" + data)


class _UdpEcho(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        name: bytes = self.server.name  # pyright: ignore[reportAttributeAccessIssue] - set by `echoes`
        sock.sendto(name + b":" + data, self.client_address)


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def echoes(*names: str, udp: bool = False) -> Generator[list[int]]:
    """Servers that return what they receive, with their name in front. Yields their ports."""
    with ExitStack() as stack:
        ports: list[int] = []
        for name in names:
            kind = socketserver.ThreadingUDPServer if udp else _TcpServer
            server = stack.enter_context(kind(("127.0.0.1", 0), _UdpEcho if udp else _TcpEcho))
            server.name = name.encode()  # pyright: ignore[reportAttributeAccessIssue] - read by the handlers
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(server.shutdown)
            ports.append(server.server_address[1])
        yield ports


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of loopback without 443 in its number, which gixy takes for HTTPS."""
    while True:
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        if "443" not in str(port):
            return port
