"""Run by test_namespaces.py in a mount namespace with a /run of its own: `python namespace_story.py STORY`.

Each story ends with the names that are left in /run/netns and the mounts below it, as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from localcloud.network.namespaces import Namespaces

NETNS = Path("/run/netns")


def others_add(name: str) -> None:
    """Another program's namespace: iproute2 mounts /run/netns on itself the first time."""
    subprocess.run(["ip", "netns", "add", name], check=True)


def removed(namespaces: Namespaces) -> None:
    """A namespace made before `ip netns add`, and one made after it."""
    namespaces.ensure("before")
    others_add("other")
    namespaces.ensure("after")
    for what in ("before", "after"):
        namespaces.remove(what)


def remade(namespaces: Namespaces) -> None:
    """As at the start of a machine: removed and made again under the same name, twice."""
    namespaces.ensure("one")
    others_add("other")
    for _ in range(2):
        old = namespaces.path("one").stat().st_ino
        namespaces.remove("one")
        assert namespaces.ensure("one")
        assert namespaces.path("one").stat().st_ino != old
        with namespaces.inside("one"):
            pass
    namespaces.remove("one")


def killed(namespaces: Namespaces) -> None:
    """`kill -9` between the unmount and the unlink: the file is left, with the hidden mount below it."""
    namespaces.ensure("one")
    others_add("other")
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
    others_add("other")
    namespaces.remove("one")


STORIES = {story.__name__: story for story in (removed, remade, killed, added_twice)}

if __name__ == "__main__":
    STORIES[sys.argv[1]](Namespaces("story"))
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    print(json.dumps({
        "files": sorted(path.name for path in NETNS.iterdir()),
        "mounts": sorted({mount for mount in mounts if mount.startswith(f"{NETNS}/lc-story-")}),
    }))  # fmt: skip
