"""The `localcloud` command."""

from __future__ import annotations

import typer

from localcloud.commands import access, api, doctor, expose, fault, up
from localcloud.commands.context import Commands

app = typer.Typer(
    name="localcloud",
    cls=Commands,
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
app.add_typer(api.app)
fault.app.command("api")(api.fault_api)


if __name__ == "__main__":
    app()
