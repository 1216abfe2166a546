"""Finds running localclouds on this host, and removes the leftovers of an interrupted fresh system."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path


def find_running_clouds(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> list[str]:
    """Return the names of the clouds that have a daemon or a node process, in any namespace."""
    found: set[str] = set()
    for file in proc.glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # the process has exited
            words = file.read_bytes().decode(errors="replace").removesuffix("\0").split("\0")
            if "localcloud.daemon" in words[:-1]:
                found.add(words[words.index("localcloud.daemon") + 1])
    for group in (each for place in (cgroups, *cgroups.glob("*")) for each in (place / "localcloud").glob("*/")):
        with contextlib.suppress(OSError):
            if any(file.read_text().strip() for file in group.rglob("cgroup.procs")):
                found.add(group.name)
    return sorted(found)


def remove_leftovers(directory: Path, cloud: str, cgroups: Path = Path("/sys/fs/cgroup")) -> None:
    """Detach the loop devices on disks below `directory`, and remove the empty control groups of `cloud`."""
    columns = ("NAME", "BACK-INO", "BACK-MAJ:MIN")
    listed = subprocess.run(
        ["losetup", "--json", "--list", "--output", ",".join(columns)], capture_output=True, text=True, check=True
    ).stdout
    # Compare inodes: losetup reports paths as seen by the fresh system. os.walk, because directories may disappear.
    disks = {
        (status.st_ino, _numbers(status.st_dev))
        for folder, _, names in os.walk(directory)
        for status in _statuses(Path(folder, name) for name in names if name.endswith(".img"))
    }
    for device in json.loads(listed or '{"loopdevices": []}')["loopdevices"]:
        if (device["back-ino"], device["back-maj:min"].strip()) in disks:
            subprocess.run(["losetup", "--detach", device["name"]], check=True)
    for place in (cgroups, *cgroups.glob("*")):
        for group, _, _ in os.walk(place / "localcloud" / cloud, topdown=False):
            with contextlib.suppress(OSError):
                Path(group).rmdir()


def _statuses(files: Iterable[Path]) -> Iterator[os.stat_result]:
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            yield file.stat()


def _numbers(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"
