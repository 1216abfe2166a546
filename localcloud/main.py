"""The `localcloud` command."""

from __future__ import annotations

import importlib
import sys

import typer

from localcloud.commands import access, doctor, expose, fault, up

app = typer.Typer(
    name="localcloud",
    help="A Tencent Cloud on this host: real instances, a network as strict as the real VPC, the real API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command()(up.up)
app.command()(up.down)
app.command()(up.status)
app.command("exec", context_settings=access.PASS_THROUGH)(access.exec_)
app.command(context_settings=access.PASS_THROUGH)(access.client)
app.command(context_settings=access.PASS_THROUGH)(access.ssh)
app.command()(access.console)
app.command()(expose.expose)
app.command("takeover-delay")(fault.takeover_delay)
app.command()(doctor.doctor)
app.add_typer(fault.app)


# These do not use the API, whose imports take a second: it is imported only for the other commands.
_LIGHT = {"up", "down", "status", "exec", "client", "ssh", "console", "doctor", "expose", "takeover-delay"}


def _add_families(words: list[str]) -> None:
    asked = [word for word in words if not word.startswith("-")]
    if asked and (asked[0] in _LIGHT or (asked[0] == "fault" and asked[1:2] != ["api"])):
        return
    api = importlib.import_module("localcloud.commands.api")
    app.add_typer(api.app)
    fault.app.command("api")(api.fault_api)


_add_families(sys.argv[1:])

if __name__ == "__main__":
    app()
