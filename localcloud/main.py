"""The `localcloud` command."""

from __future__ import annotations

import importlib
import sys

import typer

from localcloud.commands import access, doctor, up

app = typer.Typer(
    name="localcloud",
    help="A Tencent Cloud on this machine: real machines, a network as strict as the real VPC, the real API.",
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
app.command()(doctor.doctor)


# Families of their own, with their own (slow) imports: loaded when one of them is asked for, or for the help.
_own = {"up", "down", "status", "exec", "client", "ssh", "console", "doctor", "fault", "expose"}


def _add_families() -> None:
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if asked in _own:
        return
    for module in ("localcloud.commands.engine", "localcloud.commands.api"):
        try:
            family = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not module.startswith(error.name):
                raise
            continue
        app.add_typer(family.app)


_add_families()

if __name__ == "__main__":
    app()
