"""The process behind `localcloud up`: the records, the infrastructure, the API and the control socket.

    python -m localcloud.daemon NAME        (started detached by `up`; stopped by SIGTERM or through the socket)

Machines and network keep running if it is killed; the next daemon resumes from the records.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import sys
from collections.abc import Generator

from localcloud.api.app import make_app
from localcloud.api.gateway import Gateway
from localcloud.api.servers import Endpoint, Tls, listen_tcp, listen_unix, serve, stop_on_signals
from localcloud.authority import API_NAMES, Authority
from localcloud.control import make_control_app
from localcloud.errors import LocalcloudError
from localcloud.machines.linux_infrastructure import LinuxInfrastructure
from localcloud.machines.paths import Paths
from localcloud.network import names
from localcloud.reconcile.cloud import Cloud
from localcloud.rules.timing import REALISTIC, SHORT, Timing

_log = logging.getLogger("localcloud")

_HTTPS = 443
_HTTP = 80
TIMINGS = {"short": SHORT, "realistic": REALISTIC}


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped. Exit code 1, with the reason in the log, if it cannot start."""
    parser = argparse.ArgumentParser(prog="localcloud.daemon")
    parser.add_argument("name")
    parser.add_argument("--timing", choices=tuple(TIMINGS), default="short")
    parser.add_argument("--takeover-delay", type=float, default=None)
    parser.add_argument("--account-type", choices=("standard", "traditional"), default="standard")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    paths = Paths(options.name)
    paths.state.mkdir(parents=True, exist_ok=True)
    paths.run.mkdir(parents=True, exist_ok=True)
    with _only_one(paths) as alone:
        if not alone:
            _log.error("another daemon already serves cloud %s", paths.cloud)
            return 1
        try:
            infrastructure = _open_infrastructure(paths, options.takeover_delay, TIMINGS[options.timing])
            cloud = Cloud(
                paths.state / "state.sqlite",
                infrastructure,
                timing=TIMINGS[options.timing],
                account=options.account_type,
            )
            asyncio.run(_serve(paths, infrastructure, cloud))
        except LocalcloudError as error:
            _log.error("%s", error)
            return 1
        finally:
            (paths.run / "daemon.pid").unlink(missing_ok=True)
    return 0


def _open_infrastructure(paths: Paths, takeover_delay_s: float | None, timing: Timing) -> LinuxInfrastructure:
    """Called before the event loop runs: pyroute2 has its own loops, and one thread cannot run two."""
    delay_s = timing.havip_takeover_s if takeover_delay_s is None else takeover_delay_s
    infrastructure = LinuxInfrastructure(paths, takeover_delay_s=delay_s)
    infrastructure.open()
    return infrastructure


async def _serve(paths: Paths, infrastructure: LinuxInfrastructure, cloud: Cloud) -> None:
    gateway = Gateway(cloud)
    app = make_app(gateway)
    stop = stop_on_signals()
    # In the API's namespace, which has no service of the host.
    with infrastructure.namespaces.inside(names.API):
        https, http = (listen_tcp(str(names.API_ADDRESS), port) for port in (_HTTPS, _HTTP))
    endpoints = [
        Endpoint(app, https, _tls(paths)),
        Endpoint(app, http),
        Endpoint(make_control_app(infrastructure, gateway, app, stop.set), listen_unix(paths.control_socket)),
    ]

    def ready() -> None:
        (paths.run / "daemon.pid").write_text(f"{os.getpid()}\n")
        _log.info("cloud %s is up", paths.cloud)

    await asyncio.to_thread(cloud.start)
    await serve(endpoints, stop, ready)
    await asyncio.to_thread(cloud.close)
    infrastructure.close()
    _log.info("cloud %s: the daemon ends, machines keep running", paths.cloud)


def _tls(paths: Paths) -> Tls:
    authority = Authority.ensure(paths.state / "ca.pem", paths.state / "ca.key")
    tls = Tls(paths.state / "server.pem", paths.state / "server.key")
    authority.issue(API_NAMES, [str(names.API_ADDRESS), "127.0.0.1"], tls.certificate, tls.key)
    return tls


@contextlib.contextmanager
def _only_one(paths: Paths) -> Generator[bool]:
    with (paths.run / "daemon.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


if __name__ == "__main__":
    sys.exit(main())
