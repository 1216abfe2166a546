"""Shared by all subcommands: the cloud's name, and the client of its daemon."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from localcloud.errors import HostError, LocalcloudError
from localcloud.machines.paths import Paths

Name = Annotated[
    str, typer.Option("--name", envvar="LOCALCLOUD_NAME", help="Name of the cloud on this host.", metavar="NAME")
]
DEFAULT_NAME = "default"
LONGEST_DELAY_S = 3600.0  # of a HAVIP's takeover; in a real VPC it takes about ten seconds at most


def require_root() -> None:
    if os.geteuid() != 0:
        raise HostError(
            f"this requires root (current uid {os.geteuid()}): run `sudo {' '.join(['localcloud', *sys.argv[1:]])}`"
        )


class Commands(TyperGroup):
    """Commands whose LocalcloudError is printed as one message, without a traceback, with exit code 1."""

    def invoke(self, ctx: Any) -> Any:  # the type of ctx depends on the version of typer
        try:
            return super().invoke(ctx)
        except LocalcloudError as error:
            typer.echo(f"localcloud: {error}", err=True)
            raise typer.Exit(1) from None


class Control:
    """Client of a control socket: of the daemon of a cloud, or of a `localcloud api`."""

    def __init__(self, paths: Paths, socket_of_api: Path | None = None) -> None:
        self._socket = socket_of_api or paths.control_socket
        self._what = "the API" if socket_of_api else f"cloud {paths.cloud}"
        self._remedy = (
            "start it with `localcloud api`" if socket_of_api else "start it with `localcloud up` or `make up`"
        )

    def get(self, path: str) -> dict[str, Any]:
        return self.ask("GET", path, None, 10.0)

    def post(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        return self.ask("POST", path, data)

    def answers(self) -> bool:
        try:
            self.get("/control/status")
        except LocalcloudError:
            return False
        return True

    def ask(self, method: str, path: str, data: dict[str, Any] | None, timeout_s: float = 60.0) -> Any:
        """Return the JSON of the response. Raises LocalcloudError without a response, and for an error response."""
        connection = _UnixConnection(str(self._socket), timeout_s)
        try:
            body = None if data is None else json.dumps(data)
            connection.request(method, path, body, {"Content-Type": "application/json", "Host": "localcloud"})
            answer = connection.getresponse()
            text = answer.read().decode()
        except PermissionError as error:
            require_root()
            raise LocalcloudError(f"{self._socket} cannot be opened ({error.strerror})") from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise LocalcloudError(
                f"{self._what} does not respond at {self._socket} ({reason}); {self._remedy}"
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
