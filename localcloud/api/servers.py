"""The HTTP servers of one process, for `localcloud up` and `localcloud api`: listeners, TLS, graceful shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

_KEEP_ALIVE_S = 75


@dataclass(frozen=True, slots=True)
class Tls:
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An application on a listener; with a certificate it uses TLS."""

    app: Starlette
    listener: socket.socket
    tls: Tls | None = None


class _Server(uvicorn.Server):
    """One of several servers in a process: `stop_on_signals` handles the signals for all of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def serve(endpoints: list[Endpoint], stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Serve until `stop` is set. Calls `ready` when all endpoints accept requests."""
    servers = [_server(endpoint) for endpoint in endpoints]
    tasks = [
        asyncio.create_task(server.serve(sockets=[endpoint.listener]))
        for server, endpoint in zip(servers, endpoints, strict=True)
    ]
    while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.005)
    ready()
    await stop.wait()
    for server in servers:
        server.should_exit = True
        server.force_exit = True
    await asyncio.gather(*tasks)


def _server(endpoint: Endpoint) -> _Server:
    tls = endpoint.tls
    return _Server(
        uvicorn.Config(
            endpoint.app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE_S,
            ssl_certfile=str(tls.certificate) if tls else None,
            ssl_keyfile=str(tls.key) if tls else None,
        )
    )


def listen_tcp(host: str, port: int) -> socket.socket:
    """Return a TCP listener in the network namespace of the calling thread; port 0 selects a free port."""
    # asyncio sets TCP_NODELAY only if the protocol is named; without it every response waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(256)
    listener.setblocking(False)
    return listener


def listen_unix(path: Path) -> socket.socket:
    """Return a Unix socket listener with mode 600: it controls the complete cloud."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)  # before `listen`, so that no client can connect earlier
    listener.listen(64)
    listener.setblocking(False)
    return listener
