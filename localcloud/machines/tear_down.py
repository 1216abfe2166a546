"""Removes whatever is left of a cloud, found by its name alone: also after everything was killed."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from localcloud.fabric.namespaces import Namespaces
from localcloud.machines import disks
from localcloud.machines.cgroups import Cgroup
from localcloud.machines.paths import Paths


def tear_down(paths: Paths, *, keep_state: bool, report: Callable[[str], None] | None = None) -> None:
    """Machines first, then their loop devices, then the network; records and disks unless they are kept.

    Raises:
        TimeoutError: a process would not die.
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
    if present:
        say(f"removing {len(present)} network namespaces")
    for what in present:
        namespaces.remove(what)
    shutil.rmtree(paths.run, ignore_errors=True)
    if not keep_state:
        shutil.rmtree(paths.state, ignore_errors=True)
