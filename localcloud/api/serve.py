"""The API alone, without machines and without root: `localcloud api`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from localcloud.api.app import make_app
from localcloud.api.gateway import Gateway
from localcloud.api.operator import make_operator_app
from localcloud.reconcile.cloud import Cloud
from localcloud.rules.timing import Timing
from localcloud.rules.transaction import AccountType
from localcloud.world import PaperWorld


@dataclass(frozen=True, slots=True)
class Options:
    """What `localcloud api` is told."""

    https: tuple[str, int] | None
    http: tuple[str, int] | None
    state: Path | None
    credentials: dict[str, str]
    ca_out: Path | None
    control: Path | None
    timing: Timing
    seed: str
    region: str
    requests_per_second: int | None
    account: AccountType


class _Server(uvicorn.Server):
    """One of several in a process: signals are handled once, for all."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Prints `ready` when the first request may come."""
    world = PaperWorld()
    cloud = Cloud(
        options.state,
        world,
        seed=options.seed,
        timing=options.timing,
        credentials=options.credentials,
        region=options.region,
        account=options.account,
    )
    gateway = Gateway(cloud, requests_per_second=options.requests_per_second)
    asyncio.run(_serve(options, cloud, gateway))


async def _serve(options: Options, cloud: Cloud, gateway: Gateway) -> None:
    app = make_app(cloud, gateway)
    pairs: list[tuple[_Server, socket.socket]] = []
    if options.http is not None:
        pairs.append((_server(app), _listen(options.http)))
    if options.https is not None:
        certificate, key = _certificate(options)
        pairs.append((_server(app, ssl_certfile=str(certificate), ssl_keyfile=str(key)), _listen(options.https)))
    if options.control is not None:
        pairs.append((_server(make_operator_app(gateway)), _listen_at(options.control)))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    cloud.start()
    tasks = [asyncio.create_task(server.serve(sockets=[at])) for server, at in pairs]
    while not all(server.started for server, _ in pairs):  # noqa: ASYNC110  uvicorn offers no event
        await asyncio.sleep(0.005)
    # Where port 0 was asked for, this tells which one it became.
    sys.stdout.write("ready" + "".join(f" {_where(at)}" for _, at in pairs) + "\n")
    sys.stdout.flush()
    await stop.wait()
    for server, _ in pairs:
        server.should_exit = True
        server.force_exit = True
    await asyncio.gather(*tasks)
    await asyncio.to_thread(cloud.close)
    if options.control is not None:
        options.control.unlink(missing_ok=True)


def _server(app: Starlette, **tls: str) -> _Server:
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_keep_alive=75)
    for name, value in tls.items():
        setattr(config, name, value)
    return _Server(config)


def _where(at: socket.socket) -> str:
    name = at.getsockname()
    return name if isinstance(name, str) else f"{name[0]}:{name[1]}"


def _listen(address: tuple[str, int]) -> socket.socket:
    # Named, the protocol lets asyncio switch Nagle's algorithm off: without, every answer waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(256)
    listener.setblocking(False)
    return listener


def _listen_at(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(16)
    listener.setblocking(False)
    return listener


def _certificate(options: Options) -> tuple[Path, Path]:
    """A server certificate of a CA that is kept beside the state, or made for this run."""
    from localcloud.authority import API_NAMES, Authority  # noqa: PLC0415  slow to import; for HTTPS alone

    home = options.state.parent if options.state is not None else (options.ca_out or Path("ca.pem")).parent
    authority = Authority.ensure(home / "ca.pem", home / "ca.key")
    certificate, key = home / "server.pem", home / "server.key"
    assert options.https is not None
    authority.issue(API_NAMES, (options.https[0],), certificate, key)
    if options.ca_out is not None and options.ca_out.resolve() != authority.certificate_path.resolve():
        options.ca_out.write_text(authority.certificate)
    return certificate, key
