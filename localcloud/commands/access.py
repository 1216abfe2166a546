"""`localcloud exec | client | ssh | console`: run commands as the operator, on the internet, or on an instance."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from localcloud.commands.context import DEFAULT_NAME, Control, Name, network_failure, require_root
from localcloud.errors import LocalcloudError
from localcloud.machines.cgroups import Cgroup
from localcloud.machines.inside import become
from localcloud.machines.operator import enter_client, enter_operator
from localcloud.machines.paths import Paths
from localcloud.network import names
from localcloud.network.namespaces import Namespaces
from localcloud.providers.plugins import with_plugins

# All arguments after the first of CMD belong to CMD, including those with dashes.
PASS_THROUGH = {"allow_interspersed_args": False, "ignore_unknown_options": False}

Command = Annotated[list[str], typer.Argument(help="Command and its arguments.", metavar="CMD ...")]
Node = Annotated[str, typer.Argument(help="Name, host name or id of the instance.", metavar="NODE")]


def exec_(command: Command, name: Name = DEFAULT_NAME) -> None:
    """Run CMD as the operator: the API under its real host names, and a private line into every VPC."""
    paths = _enterable(name, names.OPERATOR)
    _warn_of_network_failure(paths)
    _run_here(command, lambda: with_plugins(enter_operator(paths, command[0]), paths.run / "plugins"))


def client(command: Command, name: Name = DEFAULT_NAME) -> None:
    """Run CMD as a client on the internet, which can reach only public addresses."""
    paths = _enterable(name, names.INTERNET)
    _run_here(command, lambda: enter_client(paths))


def ssh(
    node: Node,
    command: Annotated[
        list[str] | None, typer.Argument(help="Command to run instead of a shell.", metavar="CMD ...")
    ] = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Run CMD or a shell as root on an instance, like the cloud's console login: without key or network.

    CMD is a program with its arguments. For several commands use a shell: localcloud ssh iam-a -- sh -c 'id; uptime'
    """
    paths = Paths(name)
    require_root()
    machine = Control(paths).get(f"/control/machine?{urlencode({'node': node})}")
    if not machine["running"]:
        raise LocalcloudError(f"{node} is not running; start it, or run `localcloud fault {node} power-on`")
    if machine["paused"]:
        # CMD would be frozen with the other processes, and could then not be interrupted, not even by Ctrl-C.
        raise LocalcloudError(f"{node} is paused; no command runs on it until `localcloud fault {node} resume`")
    group = Cgroup(f"{paths.cgroup}/{machine['instance']}")
    # After NODE, the `--` that protects CMD's options is still in the list.
    words = command[1:] if command and command[0] == "--" else command
    become(machine["pid"], group.directories(), words or ["/bin/bash", "--login"], interactive=not words)


def console(
    node: Node,
    name: Name = DEFAULT_NAME,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new output.")] = False,
) -> None:
    """Print the end of an instance's console log."""
    control = Control(Paths(name))
    path = f"/control/console?{urlencode({'node': node})}"
    seen = control.get(path)["console"]
    typer.echo(seen, nl=False)
    while follow:
        time.sleep(0.3)
        current = control.get(path)["console"]
        # The log is truncated at the front: print the text after the last line already printed.
        anchor = seen[-200:]
        position = current.rfind(anchor)
        typer.echo(current[position + len(anchor) :] if position >= 0 else current, nl=False)
        seen = current


def _enterable(name: str, what: str) -> Paths:
    paths = Paths(name)
    require_root()
    if not Namespaces(name).path(what).exists():
        raise LocalcloudError(f"cloud {name} is not up; start it with `localcloud up` or `make up`")
    return paths


def _warn_of_network_failure(paths: Paths) -> None:
    try:
        failure = network_failure(Control(paths).get("/control/status"), paths)
    except LocalcloudError:
        return  # the command may not need the daemon, and reports its absence otherwise
    if failure:
        typer.echo(f"localcloud: warning: {failure}", err=True)


def _run_here(command: list[str], enter: Any) -> None:
    """Replace this process by the command, which keeps its exit code, terminal and signals."""
    try:
        environment = enter()
    except OSError as error:
        raise LocalcloudError(str(error)) from error
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - to become the command is the point
    except OSError as error:
        typer.echo(f"localcloud: {command[0]}: {error.strerror}", err=True)
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)
