"""Shared by all subcommands: the cloud's name, and the client of its daemon."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
from http import HTTPStatus
from typing import Annotated, Any, NoReturn

import typer

from localcloud.errors import HostError, LocalcloudError
from localcloud.machines.paths import Paths
from localcloud.network.namespaces import CLOUD_NAME

Name = Annotated[
    str, typer.Option("--name", envvar="LOCALCLOUD_NAME", help="Name of the cloud on this host.", metavar="NAME")
]
DEFAULT_NAME = "default"
LONGEST_DELAY_S = 3600.0  # of a HAVIP's takeover; in a real VPC it takes about ten seconds at most


def paths_of(name: str) -> Paths:
    """Return the paths of a cloud. Raises LocalcloudError for an invalid name."""
    if not CLOUD_NAME.match(name):
        raise LocalcloudError(f"the cloud's name must be 1 to 20 characters of a-z and 0-9 (got {name!r})")
    return Paths(name)


def require_root() -> None:
    if os.geteuid() != 0:
        raise HostError(
            f"this requires root (current uid {os.geteuid()}): run `sudo {' '.join(['localcloud', *sys.argv[1:]])}`"
        )


class Control:
    """Client of the daemon's control socket."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def get(self, path: str) -> dict[str, Any]:
        return self._ask("GET", path, None, 10.0)

    def post(self, path: str, data: dict[str, Any] | None = None, *, timeout_s: float = 60.0) -> dict[str, Any]:
        return self._ask("POST", path, data or {}, timeout_s)

    def answers(self) -> bool:
        try:
            self.get("/control/status")
        except LocalcloudError:
            return False
        return True

    def _ask(self, method: str, path: str, data: dict[str, Any] | None, timeout_s: float) -> dict[str, Any]:
        connection = _UnixConnection(str(self._paths.control_socket), timeout_s)
        try:
            body = None if data is None else json.dumps(data)
            connection.request(method, path, body, {"Content-Type": "application/json", "Host": "localcloud"})
            answer = connection.getresponse()
            text = answer.read().decode()
        except PermissionError as error:
            require_root()
            raise LocalcloudError(f"{self._paths.control_socket} cannot be opened ({error.strerror})") from error
        except OSError as error:
            raise LocalcloudError(
                f"cloud {self._paths.cloud} does not respond at {self._paths.control_socket} "
                f"({error.strerror or type(error).__name__}); start it with `localcloud up`"
            ) from error
        finally:
            connection.close()
        try:
            found = json.loads(text)
        except ValueError:
            found = {"error": f"{path}: {answer.status} {text[:500]}"}
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise LocalcloudError(found.get("error", text))
        return found


def network_failure(status: dict[str, Any], paths: Paths) -> str:
    """Return why the network does not match the records, and what to do; empty if it does.

    `status` is the response of /control/status.
    """
    network = status["records"]["network"]
    if not network["error"]:
        return ""
    return (
        f"the network of cloud {paths.cloud} could not be applied for {network['failing_s']:.0f} s, "
        f"so new instances fail to launch: {network['error']}\n"
        f"  It is tried again every second. If the error remains, see {paths.daemon_log},\n"
        "  then remove the cloud (`make down`, or `localcloud down`) and start it again."
    )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localcloud", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def fail(error: LocalcloudError) -> NoReturn:
    """Print only the message, without a traceback, and exit with code 1."""
    typer.echo(f"localcloud: {error}", err=True)
    raise typer.Exit(1)
