"""The platform's servers in each VPC: metadata, package mirror, DNS.

A socket stays in the namespace where it was created: each listener is created inside the VPC's router and served by
threads in the host's namespace. So the mirror reaches the host's sources, and an instance reaches only the mirror.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from typing import Any

from localcloud.network import dns, names
from localcloud.network.namespaces import Namespaces

# Limits for one machine: it must not use all of the daemon's descriptors, or keep a thread forever.
_CONNECTIONS_EACH = 64
_SILENCE_S = 30.0

MakeHandler = Callable[[str], type[BaseHTTPRequestHandler]]


class PlatformServers:
    """Starts and stops the servers of VPCs. `metadata` and `mirror` return a handler class for a VPC id."""

    def __init__(self, namespaces: Namespaces, *, metadata: MakeHandler, mirror: MakeHandler) -> None:
        self._namespaces = namespaces
        self._make = ((names.METADATA, metadata), (names.MIRROR, mirror))
        self._running: dict[str, list[Callable[[], None]]] = {}

    def keep(self, vpc_ids: frozenset[str]) -> None:
        """Serve exactly these VPCs."""
        for vpc_id in set(self._running) - vpc_ids:
            for stop in self._running.pop(vpc_id):
                stop()
        for vpc_id in vpc_ids - set(self._running):
            self._running[vpc_id] = self._start(vpc_id)

    def close(self) -> None:
        self.keep(frozenset())

    def _start(self, vpc_id: str) -> list[Callable[[], None]]:
        stops: list[Callable[[], None]] = []
        for address, make in self._make:
            listener = self._listen(vpc_id, socket.SOCK_STREAM, address, 80)
            handler = make(vpc_id)
            handler.timeout = _SILENCE_S
            server = _QuietServer((str(address), 80), handler, bind_and_activate=False)
            server.socket.close()
            server.socket = listener
            threading.Thread(target=server.serve_forever, args=(0.1,), name=f"http-{vpc_id}", daemon=True).start()
            stops += [server.shutdown, server.server_close]
        for address in names.NAME_SERVERS:
            datagrams = self._listen(vpc_id, socket.SOCK_DGRAM, address, 53)
            threading.Thread(target=dns.serve_datagrams, args=(datagrams,), name=f"dns-{vpc_id}", daemon=True).start()
            stops.append(lambda datagrams=datagrams: _shut(datagrams))
            streams = self._listen(vpc_id, socket.SOCK_STREAM, address, 53)
            threading.Thread(target=dns.serve_streams, args=(streams,), name=f"dns-{vpc_id}", daemon=True).start()
            stops.append(lambda streams=streams: _shut(streams))
        return stops

    def _listen(self, vpc_id: str, kind: socket.SocketKind, address: IPv4Address, port: int) -> socket.socket:
        with self._namespaces.inside(vpc_id):
            listener = socket.socket(socket.AF_INET, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
        if kind == socket.SOCK_STREAM:
            listener.listen(128)
        return listener


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._open: Counter[str] = Counter()
        self._counting = threading.Lock()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        del request
        with self._counting:
            allowed = self._open[client_address[0]] < _CONNECTIONS_EACH
            self._open[client_address[0]] += allowed
        return allowed

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._counting:
                self._open[client_address[0]] -= 1
                if not self._open[client_address[0]]:
                    del self._open[client_address[0]]

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore connections that a machine's power-off cut."""


def _shut(listener: socket.socket) -> None:
    # close() does not wake a thread that is blocked in accept or recvfrom.
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
