"""Disks: sparse files with ext4 (system) or nothing yet (data) on them, as loop devices."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

from localcloud.errors import MachineError

_GIB = 1024**3


def create_system_disk(path: Path, size_gib: int) -> None:
    """An ext4 file system of the disk's true size: `df` inside says it, and it fills up like one.

    No journal: the host's own file system below has one, and a machine's power-off does not lose the page cache.
    """
    with path.open("wb") as handle:
        handle.truncate(size_gib * _GIB)
    options = ["-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", "-i", "32768"]
    _run(["mkfs.ext4", *options, str(path)])


def grow_system_disk(path: Path, size_gib: int) -> None:
    """Make the (unmounted) disk larger, never smaller."""
    if path.stat().st_size >= size_gib * _GIB:
        return
    with path.open("r+b") as handle:
        handle.truncate(size_gib * _GIB)
    _run(["e2fsck", "-fp", str(path)], fine=(0, 1))
    _run(["resize2fs", str(path)])


def ensure_data_disk(path: Path, size_gib: int) -> None:
    """A blank disk of that size; an existing one keeps its contents and grows if it must."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        if handle.seek(0, os.SEEK_END) < size_gib * _GIB:
            handle.truncate(size_gib * _GIB)


def loop_devices(directory: Path) -> dict[Path, str]:
    """Backing file -> loop device, for every loop device on a file below `directory`."""
    done = _run(["losetup", "--json", "--list", "--output", "NAME,BACK-FILE"])
    listed = json.loads(done or '{"loopdevices": []}')["loopdevices"]
    prefix = f"{directory}/"
    # A file that was deleted while it was in use is listed as "NAME (deleted)".
    files = {entry["name"]: entry["back-file"].removesuffix(" (deleted)") for entry in listed if entry["back-file"]}
    return {Path(file): name for name, file in files.items() if file.startswith(prefix)}


def attach_loop(path: Path) -> str:
    """A loop device on the file; the one it has, if it has one."""
    present = loop_devices(path.parent).get(path)
    return present or _run(["losetup", "--find", "--show", str(path)]).strip()


def detach_loops(directory: Path) -> None:
    for device in loop_devices(directory).values():
        subprocess.run(["losetup", "--detach", device], check=False, capture_output=True)


def device_numbers(device: str) -> tuple[int, int]:
    number = Path(device).stat()
    if not stat.S_ISBLK(number.st_mode):
        message = f"{device} is no block device"
        raise MachineError(message)
    return os.major(number.st_rdev), os.minor(number.st_rdev)


def _run(command: list[str], *, fine: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in fine:
        message = f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}"
        raise MachineError(message)
    return done.stdout
