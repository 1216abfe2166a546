"""Run by test_namespaces.py in a mount namespace with a private /run: `python namespace_scenario.py SCENARIO`.

Each scenario ends by printing the names left in /run/netns and the mounts below it, as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from localcloud.network.namespaces import Namespaces

NETNS = Path("/run/netns")


def add_foreign(name: str) -> None:
    """Add another program's namespace: iproute2 mounts /run/netns on itself the first time."""
    subprocess.run(["ip", "netns", "add", name], check=True)


def removed(namespaces: Namespaces) -> None:
    """One namespace created before `ip netns add`, and one created after it."""
    namespaces.ensure("before")
    add_foreign("other")
    namespaces.ensure("after")
    for what in ("before", "after"):
        namespaces.remove(what)


def recreated(namespaces: Namespaces) -> None:
    """As at the start of a machine: removed and created again under the same name, twice."""
    namespaces.ensure("one")
    add_foreign("other")
    for _ in range(2):
        old = namespaces.path("one").stat().st_ino
        namespaces.remove("one")
        assert namespaces.ensure("one")
        assert namespaces.path("one").stat().st_ino != old
        with namespaces.inside("one"):
            pass
    namespaces.remove("one")


def killed(namespaces: Namespaces) -> None:
    """`kill -9` between the unmount and the unlink: the file remains, with the hidden mount below it."""
    namespaces.ensure("one")
    add_foreign("other")
    subprocess.run(["umount", str(namespaces.path("one"))], check=True)
    namespaces.ensure("one")
    with namespaces.inside("one"):
        pass
    namespaces.remove("one")


def added_twice(namespaces: Namespaces) -> None:
    """Two programs, each in a mount namespace where /run/netns was not shared yet."""
    namespaces.ensure("one")
    for _ in range(2):
        subprocess.run(["mount", "--rbind", str(NETNS), str(NETNS)], check=True)
    add_foreign("other")
    namespaces.remove("one")


SCENARIOS = {scenario.__name__: scenario for scenario in (removed, recreated, killed, added_twice)}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Namespaces("scenario"))
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    print(json.dumps({
        "files": sorted(path.name for path in NETNS.iterdir()),
        "mounts": sorted({mount for mount in mounts if mount.startswith(f"{NETNS}/lc-scenario-")}),
    }))  # fmt: skip
