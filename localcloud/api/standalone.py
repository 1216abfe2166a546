"""The API without machines and without root: `localcloud api`."""

from __future__ import annotations

import asyncio
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from localcloud.api.admin import make_admin_app
from localcloud.api.app import make_app
from localcloud.api.gateway import Gateway
from localcloud.api.servers import Endpoint, Tls, listen_tcp, listen_unix, serve, stop_on_signals
from localcloud.infrastructure import NoInfrastructure
from localcloud.reconcile.cloud import Cloud
from localcloud.rules.timing import Timing
from localcloud.rules.transaction import AccountType


@dataclass(frozen=True, slots=True)
class Options:
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


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Prints `ready` when requests are accepted."""
    cloud = Cloud(
        options.state,
        NoInfrastructure(),
        seed=options.seed,
        timing=options.timing,
        credentials=options.credentials,
        region=options.region,
        account=options.account,
    )
    gateway = Gateway(cloud, requests_per_second=options.requests_per_second)
    asyncio.run(_serve(options, gateway))
    if options.control is not None:
        options.control.unlink(missing_ok=True)


async def _serve(options: Options, gateway: Gateway) -> None:
    endpoints = _endpoints(options, gateway)

    def ready() -> None:
        # If port 0 was requested, this shows the selected port.
        sys.stdout.write("ready" + "".join(f" {_where(endpoint.listener)}" for endpoint in endpoints) + "\n")
        sys.stdout.flush()

    stop = stop_on_signals()
    gateway.cloud.start()
    await serve(endpoints, stop, ready)
    await asyncio.to_thread(gateway.cloud.close)


def _endpoints(options: Options, gateway: Gateway) -> list[Endpoint]:
    app = make_app(gateway)
    endpoints: list[Endpoint] = []
    if options.http is not None:
        endpoints.append(Endpoint(app, listen_tcp(*options.http)))
    if options.https is not None:
        endpoints.append(Endpoint(app, listen_tcp(*options.https), _tls(options, options.https[0])))
    if options.control is not None:
        endpoints.append(Endpoint(make_admin_app(gateway), listen_unix(options.control)))
    return endpoints


def _where(listener: socket.socket) -> str:
    name = listener.getsockname()
    return name if isinstance(name, str) else f"{name[0]}:{name[1]}"


def _tls(options: Options, host: str) -> Tls:
    """Return a server certificate of a CA that is stored next to the state, or created for this run."""
    from localcloud.authority import API_NAMES, Authority  # noqa: PLC0415 - slow to import; used only for HTTPS

    home = options.state.parent if options.state is not None else (options.ca_out or Path("ca.pem")).parent
    authority = Authority.ensure(home / "ca.pem", home / "ca.key")
    tls = Tls(home / "server.pem", home / "server.key")
    authority.issue(API_NAMES, (host,), tls.certificate, tls.key)
    if options.ca_out is not None and options.ca_out.resolve() != authority.certificate_path.resolve():
        options.ca_out.write_text(authority.certificate)
    return tls
