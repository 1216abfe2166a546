"""`localcloud expose`: forward a port of 127.0.0.1 to a public address."""

from __future__ import annotations

from typing import Annotated

import typer

from localcloud.commands.context import DEFAULT_NAME, Control, Name
from localcloud.errors import LocalcloudError
from localcloud.machines.paths import Paths

_LAST_PORT = 65535


def expose(
    address: Annotated[
        str | None, typer.Argument(metavar="[PUBLIC[:PORT]]", help="Default: the only public address, port 80.")
    ] = None,
    name: Name = DEFAULT_NAME,
    *,
    port: Annotated[int, typer.Option("--port", "-p", min=1, max=_LAST_PORT, help="Port of 127.0.0.1.")] = 8000,
    stop: Annotated[bool, typer.Option("--stop", help="Close the port.")] = False,
) -> None:
    """Forward http://127.0.0.1:PORT of this host to a public address of the cloud, for a browser."""
    control = Control(Paths(name))
    if stop:
        was_open = control.post("/control/expose", {"stop": port})["closed"]
        typer.echo(f"127.0.0.1:{port} is closed" + ("" if was_open else " (it was not open)"))
        return
    public, colon, public_port = (address or "").partition(":")
    if colon and not (public_port.isdigit() and 0 < int(public_port) <= _LAST_PORT):
        raise LocalcloudError(
            f"the address must be PUBLIC or PUBLIC:PORT, for example 203.0.113.10:443, "
            f"with a port up to {_LAST_PORT} (got {address!r})"
        )
    target = {"public": public or _only_public_address(control), "port": int(public_port or 80), "local": port}
    control.post("/control/expose", target)
    scheme = "https" if target["port"] == 443 else "http"  # noqa: PLR2004 - the standard port of HTTPS
    typer.echo(f"{scheme}://127.0.0.1:{port} forwards to {target['public']}:{target['port']} until `localcloud down`")


def _only_public_address(control: Control) -> str:
    found = [entry["public"] for entry in control.get("/control/status")["public_addresses"]]
    if len(found) != 1:
        raise LocalcloudError(f"specify the public address to expose; available: {', '.join(found) or 'none'}")
    return found[0]
