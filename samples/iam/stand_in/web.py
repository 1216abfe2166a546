"""HTTP and HTTPS listeners: one thread per connection, one access log line per request, and a graceful shutdown."""

from __future__ import annotations

import ctypes
import enum
import selectors
import socket
import ssl
import struct
import sys
import threading
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .codes import CodedError
from .journal import Journal
from .messages import Request, Response, failure, unforeseen

_IDLE_S = 75  # longer than nginx's upstream keepalive of 60 s, so that nginx closes first
_LAST_CONNECTIONS_S = 0.25
_HANDSHAKE_S = 0.02  # longer than the rest of a TCP handshake that has begun, between nodes of one VPC
_FIRST_REQUEST_S = 1.0
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; the socket module does not have it
_BODY_LIMIT = 32 * 1024 * 1024


class Listener:
    """One bound address. Serves in a separate thread from `start` until `drain`.

    The constructor raises OSError if the address cannot be bound.
    """

    def __init__(
        self,
        address: tuple[str, int],
        answer: Callable[[Request], Response],
        journal: Journal,
        *,
        tls: ssl.SSLContext | None = None,
        log_requests: bool = True,
    ) -> None:
        self._server = _Server(address, _Handler)
        self._server.answer = answer
        self._server.journal = journal
        self._server.tls = tls
        self._server.log_requests = log_requests
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def start(self) -> None:
        self._thread.start()

    def drain(self, deadline_s: float) -> bool:
        """Stop accepting connections and finish open requests. Returns False if the deadline passed first."""
        if not self._server.draining:
            self._server.draining = True
            self._server.shutdown()
            drop_new_connections(self._server.socket)
            self._server.accept_waiting()
            self._server.socket.close()
        return self._server.wait_until_idle(deadline_s)


def server_context(certificate: str, private_key: str) -> ssl.SSLContext:
    """Raises OSError if a file is missing, ssl.SSLError if certificate and key do not match."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, private_key)
    return context


class _Phase(enum.Enum):
    NEW = "no request received"
    ANSWERING = "a request is processed"
    IDLE = "between requests"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024
    answer: Callable[[Request], Response]
    journal: Journal
    tls: ssl.SSLContext | None
    log_requests: bool
    draining = False

    def __init__(self, *arguments: Any) -> None:
        self._idle = threading.Condition()
        self._connections: dict[socket.socket, _Phase] = {}
        super().__init__(*arguments)

    def get_request(self) -> tuple[socket.socket, Any]:
        request, client_address = super().get_request()
        request.settimeout(_IDLE_S)
        if self.tls:
            request = self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        return request, client_address

    def process_request(self, request: Any, client_address: Any) -> None:
        # Registered before its thread starts: otherwise a drain could end before it sees the connection.
        self.enter(request, _Phase.NEW)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            # Do the handshake in the connection's thread: in accept() one slow client would block all others.
            if self.tls:
                request.do_handshake()
            super().finish_request(request, client_address)
        finally:
            with self._idle:
                del self._connections[request]
                self._idle.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request
        error = sys.exc_info()[1]
        self.journal.warn("connection ended early", client=client_address[0], error=str(error))

    def enter(self, connection: socket.socket, phase: _Phase) -> None:
        with self._idle:
            self._connections[connection] = phase

    def accept_waiting(self) -> None:
        """Serve connections that the kernel has accepted already; closing the socket would reset them.

        Returns when no more connections arrive, or after a limited time.
        """
        until = time.monotonic() + _LAST_CONNECTIONS_S
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            while time.monotonic() < until and selector.select(_HANDSHAKE_S):
                request, client_address = self.get_request()
                self.process_request(request, client_address)

    def wait_until_idle(self, deadline_s: float) -> bool:
        """Wait until all connections are closed. A new connection has some time to send its first request."""
        began = time.monotonic()
        with self._idle:
            while self._connections:
                waited_s = time.monotonic() - began
                for connection, phase in self._connections.items():
                    if phase is _Phase.IDLE or (phase is _Phase.NEW and waited_s >= _FIRST_REQUEST_S):
                        _stop_reading(connection)
                if waited_s >= deadline_s:
                    return False
                self._idle.wait(min(deadline_s - waited_s, 0.1))
        return True


def drop_new_connections(listening: socket.socket) -> None:
    """Let the kernel drop new SYN packets of a listening socket; handshakes that have begun are completed.

    Otherwise a connection could be established between the last accept() and close(), which would reset it. The client
    repeats its SYN and is refused after the close.

    Some kernels refuse a filter of a process without privileges (EPERM). A backlog of 0 drops SYN packets while one
    connection waits for accept(), so at most that one is reset.
    """
    # A classic BPF program on the TCP header: drop a packet with SYN and without ACK (byte 13, bits 0x02 and 0x10).
    program = [(0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    attached = struct.pack("HP", len(program), ctypes.addressof(code))
    try:
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, attached)
    except PermissionError:
        listening.listen(0)


def _stop_reading(connection: socket.socket) -> None:
    # Received data can still be read afterwards (Linux); the peer sees a regular close.
    try:
        socket.socket.shutdown(connection, socket.SHUT_RD)
    except OSError:
        return  # closed already


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_S

    @property
    def _listener(self) -> _Server:
        assert isinstance(self.server, _Server)
        return self.server

    def _serve(self) -> None:
        started = time.perf_counter()
        self._listener.enter(self.connection, _Phase.ANSWERING)
        if "Host" not in self.headers and self.request_version == "HTTP/1.1":
            # As Go's server (net/http), before the service sees or logs the request.
            self.close_connection = True
            self._send(Response(HTTPStatus.BAD_REQUEST, "400 Bad Request: missing required Host header"), "")
            return
        request_id = self.headers.get("X-Request-Id") or str(uuid.uuid4())
        request = Request(self.command, self.path, {name.title(): value for name, value in self.headers.items()})
        response = self._read_body(request) or self._answer(request)
        # Log first, so that a client that has the response finds the line.
        if self._listener.log_requests:
            self._log(request, response, time.perf_counter() - started, request_id)
        self._send(response, request_id)
        self._listener.enter(self.connection, _Phase.IDLE)

    # The base class calls a method named after each HTTP method.
    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _serve  # noqa: N815 - names of the base class

    def _read_body(self, request: Request) -> Response | None:
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return Response(HTTPStatus.LENGTH_REQUIRED, "")
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _BODY_LIMIT:
            self.close_connection = True
            return Response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "")
        request.body = self.rfile.read(int(length))
        return None

    def _answer(self, request: Request) -> Response:
        try:
            return self._listener.answer(request)
        except CodedError as error:
            if error.code.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._listener.journal.error(str(error), path=request.path)
            return failure(error)
        except Exception as error:  # noqa: BLE001 - a failed request must not end the connection without a response
            self._listener.journal.error("request failed", path=request.path, error=repr(error))
            return unforeseen()

    def _send(self, response: Response, request_id: str) -> None:
        body = response.body.encode()
        self.close_connection = self.close_connection or self._listener.draining
        fields = (
            ("Content-Type", response.content_type),
            *response.headers,
            ("X-Request-Id", request_id),
            ("Date", self.date_time_string()),
            ("Content-Length", str(len(body))),
            *((("Connection", "close"),) if self.close_connection else ()),
        )
        head = f"{self.protocol_version} {int(response.status)} {HTTPStatus(response.status).phrase}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields)
        # One write: Nagle's algorithm would delay the second of two small segments.
        self.wfile.write(head.encode("latin-1") + b"\r\n" + (b"" if self.command == "HEAD" else body))

    def _log(self, request: Request, response: Response, seconds: float, request_id: str) -> None:
        forwarded = self.headers.get("X-Forwarded-For", "").split(",")[0].strip()
        client = forwarded or self.headers.get("X-Real-IP") or self.client_address[0]
        self._listener.journal.info(
            f'{response.status:3d} - [{client}] "{seconds * 1000:.3f}ms {request.method} {request.target}"',
            requestID=request_id,
            username=request.username,
        )

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - name of the base class
        self._listener.journal.warn(format % args, client=self.client_address[0])
