"""Disks: sparse files with ext4 (system) or nothing yet (data) on them, as loop devices."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import MachineError
from localcloud.machines.inside import open_inside, sync_file_system

_GIB = 1024**3
SYSTEM_DISK = "disk.img"
_DELETED = " (deleted)"  # as losetup marks a file that was deleted while it was in use
_POLL_S = 0.01
_SUPERBLOCK = 1024  # bytes from the start (kernel: Documentation/filesystems/ext4/super.rst)
_SMALLEST_GROWTH = 1024**2  # a file system is made of whole blocks

# ext4's and XFS's own way to end at once: whatever is written from now on is refused with EIO. What was written
# before is brought to the disk's journal first.
_IOC_SHUTDOWN = 0x8004587D
_SHUTDOWN_LOGFLUSH = 1


def create_system_disk(path: Path, size_gib: int) -> None:
    """An ext4 file system of the disk's true size: `df` inside says it, and it fills up like one.

    No journal: the host's own file system below has one, and a machine's power-off does not lose the page cache.
    """
    with path.open("wb") as handle:
        handle.truncate(size_gib * _GIB)
    options = ["-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", "-i", "32768"]
    _run(["mkfs.ext4", *options, str(path)])


def grow_system_disk(path: Path, size_gib: int) -> None:
    """Make the (unmounted) disk larger, never smaller; also one whose growing was cut off half-way."""
    with path.open("r+b") as handle:
        size = max(handle.seek(0, os.SEEK_END), size_gib * _GIB)
        handle.truncate(size)
    if size - file_system_bytes(path) < _SMALLEST_GROWTH:
        return
    _run(["e2fsck", "-fp", str(path)], fine=(0, 1))
    _run(["resize2fs", str(path)])


def file_system_bytes(path: Path) -> int:
    """The size that the ext4 file system on it believes in: its superblock's number of blocks times their size."""
    with path.open("rb") as handle:
        handle.seek(_SUPERBLOCK)
        _, blocks, _, _, _, _, log_size = struct.unpack("<7I", handle.read(28))
    return blocks * (1024 << log_size)


def ensure_data_disk(path: Path, size_gib: int) -> None:
    """A blank disk of that size; an existing one keeps its contents and grows if it must."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        if handle.seek(0, os.SEEK_END) < size_gib * _GIB:
            handle.truncate(size_gib * _GIB)


@dataclass(frozen=True, slots=True)
class _Loop:
    name: str
    file: Path
    leaving: bool  # goes with its last user
    deleted: bool  # its file has no name any more: nobody else can open it


def _loops(directory: Path) -> list[_Loop]:
    done = _run(["losetup", "--json", "--list", "--output", "NAME,BACK-FILE,AUTOCLEAR"])
    listed = json.loads(done or '{"loopdevices": []}')["loopdevices"]
    found: list[_Loop] = []
    for each in listed:
        file = each["back-file"] or ""
        if file.startswith(f"{directory}/"):
            deleted = file.endswith(_DELETED)
            found.append(_Loop(each["name"], Path(file.removesuffix(_DELETED)), each["autoclear"], deleted))
    return found


def loop_devices(directory: Path) -> dict[Path, str]:
    """Backing file -> loop device, for every loop device on a file below `directory`.

    A data disk's that was detached while something had it open is not among them.
    """
    # The system disk's goes with its mount, and so is always leaving.
    return {each.file: each.name for each in _loops(directory) if not each.leaving or each.file.name == SYSTEM_DISK}


def attach_loop(path: Path) -> str:
    """A loop device on the file; the one it has, if it has one."""
    present = loop_devices(path.parent).get(path)
    return present or _run(["losetup", "--find", "--show", str(path)]).strip()


def follow_size(path: Path) -> None:
    """Let the file's loop device, if it has one, be as large as the file is now."""
    if loop := loop_devices(path.parent).get(path):
        _run(["losetup", "--set-capacity", loop])


def release(path: Path, timeout_s: float) -> None:
    """Take the loop device from a data disk's file.

    Whoever still has it open after that time goes on with the file as it was, and the disk goes on with a copy: what
    the old device's page cache still holds would be written over what the disk's next machine writes.
    """
    deadline = time.monotonic() + timeout_s
    while mine := [each for each in _loops(path.parent) if each.file == path and not each.deleted]:
        for each in mine:
            if not each.leaving:
                subprocess.run(["losetup", "--detach", each.name], check=False, capture_output=True)
        if time.monotonic() > deadline:
            for each in mine:
                _run(["blockdev", "--flushbufs", each.name])
            fresh = path.with_suffix(".copy")
            _run(["cp", "--sparse=always", "--reflink=auto", str(path), str(fresh)])
            fresh.rename(path)
            return
        time.sleep(_POLL_S)


def pull(pid: int, device: str) -> None:
    """End every file system of the device that is still mounted where process `pid` is, as if it were unplugged."""
    major, minor = device_numbers(device)
    with contextlib.suppress(FileNotFoundError):
        for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
            fields = line.split()
            if fields[2] != f"{major}:{minor}":
                continue
            place = open_inside(Path(f"/proc/{pid}/root"), _unescaped(fields[4]), os.O_RDONLY)
            try:
                # Mounted over, the path leads to another file system: that one is not to be ended.
                if os.fstat(place).st_dev == os.makedev(major, minor):
                    sync_file_system(place)
                    fcntl.ioctl(place, _IOC_SHUTDOWN, struct.pack("I", _SHUTDOWN_LOGFLUSH))
            finally:
                os.close(place)


def _unescaped(path: str) -> str:
    """A path as /proc/PID/mountinfo writes it: blanks and backslashes are octal."""
    return path.encode().decode("unicode_escape").encode("latin-1").decode(errors="surrogateescape")


def detach_loops(directory: Path) -> None:
    for each in _loops(directory):
        subprocess.run(["losetup", "--detach", each.name], check=False, capture_output=True)


def device_numbers(device: str) -> tuple[int, int]:
    number = Path(device).stat()
    if not stat.S_ISBLK(number.st_mode):
        raise MachineError(f"{device} is no block device")
    return os.major(number.st_rdev), os.minor(number.st_rdev)


def _run(command: list[str], *, fine: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in fine:
        raise MachineError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
