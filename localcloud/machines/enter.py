"""The words that run a command on a machine; `inside.py` does it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from localcloud.machines.cgroups import Cgroup

_SCRIPT = Path(__file__).with_name("inside.py")

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
}


def words(pid: int, group: Cgroup, command: list[str]) -> list[str]:
    """A command line of this host that runs `command` as root on the machine whose PID 1 is `pid`."""
    groups = ":".join(str(path) for path in group.directories())
    return [sys.executable, "-IS", str(_SCRIPT), str(pid), groups, "--", *command]


def become(pid: int, group: Cgroup, command: list[str], *, interactive: bool = False) -> NoReturn:
    """Replace this process by the command on the machine; argv goes through as it is."""
    environment = dict(ENVIRONMENT)
    if interactive:
        environment["TERM"] = os.environ.get("TERM", "dumb")
    line = words(pid, group, command)
    os.execve(line[0], line, environment)  # noqa: S606 - to become the command is the point
