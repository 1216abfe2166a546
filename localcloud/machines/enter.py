"""Becomes a process of a machine: in its namespaces, and in its control groups too (nsenter alone would stay outside
the machine's limits; shared/reference/lab.md, 3).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from localcloud.machines.cgroups import Cgroup

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
}


def nsenter(pid: int) -> list[str]:
    """The command prefix that puts a command into all namespaces of the machine whose PID 1 is `pid`."""
    return [
        "nsenter", f"--target={pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wdns=/root", "--",
    ]  # fmt: skip


def join(group: Cgroup) -> None:
    """Put this very process into the machine's groups."""
    for directory in group.directories():
        procs = directory / "cgroup.procs"
        if procs.exists():
            try:
                procs.write_text(str(os.getpid()))
            except OSError:
                # v2 lets no process into a group that has groups below it: then the limits of those hold.
                continue


def become(pid: int, group: Cgroup, command: list[str], *, interactive: bool = False) -> NoReturn:
    """Replace this process by the command on the machine; argv goes through as it is."""
    join(group)
    environment = dict(_ENVIRONMENT)
    if interactive:
        environment["TERM"] = os.environ.get("TERM", "dumb")
    words = [*nsenter(pid), *command]
    os.execvpe(_find_nsenter(), words, environment)  # noqa: S606 - to become the command is the point


def _find_nsenter() -> str:
    return next((path for path in ("/usr/bin/nsenter", "/bin/nsenter") if Path(path).exists()), "nsenter")
