"""Remove all remains of a cloud, found by its name: also after all its processes were killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from localcloud.machines import disks
from localcloud.machines.cgroups import Cgroup
from localcloud.machines.paths import Paths
from localcloud.network.namespaces import Namespaces

_TERM_TIMEOUT_S = 2.0  # for a command to end on SIGTERM


def tear_down(paths: Paths, *, keep_state: bool, report: Callable[[str], None] | None = None) -> None:
    """Remove machines, then their loop devices, then the network; then records and disks, unless they are kept.

    Raises:
        TimeoutError: a process did not end.
    """

    def say(text: str) -> None:
        if report is not None:
            report(text)

    cgroup = Cgroup(paths.cgroup)
    if cgroup.pids():
        say("stopping machines")
    cgroup.kill()
    cgroup.remove()
    disks.detach_loops(paths.state)
    namespaces = Namespaces(paths.cloud)
    present = namespaces.present()
    _end_commands(namespaces, say)
    if present:
        say(f"removing {len(present)} network namespaces")
    for what in present:
        namespaces.remove(what)
    shutil.rmtree(paths.run, ignore_errors=True)
    if not keep_state:
        shutil.rmtree(paths.state, ignore_errors=True)


def _end_commands(namespaces: Namespaces, say: Callable[[str], None]) -> None:
    """End commands that still run as the operator or on the internet (`exec`, `client`): their network is removed."""
    deadline = time.monotonic() + _TERM_TIMEOUT_S
    reported = False
    while pids := _inside(namespaces):
        late = time.monotonic() > deadline
        if not reported:
            say(f"ending {len(pids)} commands that still use the network")
            reported = True
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(0.05)


def _inside(namespaces: Namespaces) -> list[int]:
    """Processes in the cloud's network namespaces, except this one and its ancestors."""
    own = {namespaces.path(what).stat().st_ino for what in namespaces.present()}
    spared = _ancestors()
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "ns/net").stat().st_ino in own and int(entry.name) not in spared:
                found.append(int(entry.name))
    return found


def _ancestors() -> set[int]:
    pid = os.getpid()
    found: set[int] = set()
    while pid > 1:
        found.add(pid)
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pid = int(fields[1])
    return found
