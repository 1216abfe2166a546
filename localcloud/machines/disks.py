"""Disk files (sparse): system disks with an ext4 file system, data disks blank, attached as loop devices."""

from __future__ import annotations

import contextlib
import errno
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
_DELETED = " (deleted)"  # the suffix that losetup adds to a deleted file that is still in use
_POLL_S = 0.01
_SUPERBLOCK = 1024  # offsets in bytes (kernel: Documentation/filesystems/ext4/super.rst)
_SMALLEST_GROWTH = 1024**2  # a file system consists of whole blocks

# The shutdown ioctl of ext4 and XFS: later writes fail with EIO. Earlier writes are first flushed to the disk's
# journal.
_IOC_SHUTDOWN = 0x8004587D
_SHUTDOWN_LOGFLUSH = 1


def create_system_disk(path: Path, size_gib: int) -> None:
    """Create an ext4 file system of the disk's exact size, so that `df` inside shows it and it can fill up.

    Without a journal: the host's file system below has one, and a power-off of the machine does not lose the page
    cache.
    """
    with path.open("wb") as handle:
        handle.truncate(size_gib * _GIB)
    options = ["-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", "-i", "32768"]
    _run(["mkfs.ext4", *options, str(path)])


def grow_system_disk(path: Path, size_gib: int) -> None:
    """Grow the (unmounted) disk, never shrink it. Also completes a resize that was interrupted."""
    with path.open("r+b") as handle:
        size = max(handle.seek(0, os.SEEK_END), size_gib * _GIB)
        handle.truncate(size)
    if size - file_system_bytes(path) < _SMALLEST_GROWTH:
        return
    _run(["e2fsck", "-fp", str(path)], fine=(0, 1))
    _run(["resize2fs", str(path)])


def file_system_bytes(path: Path) -> int:
    """Size according to the ext4 superblock: number of blocks times block size."""
    with path.open("rb") as handle:
        handle.seek(_SUPERBLOCK)
        _, blocks, _, _, _, _, log_size = struct.unpack("<7I", handle.read(28))
    return blocks * (1024 << log_size)


def ensure_data_disk(path: Path, size_gib: int) -> None:
    """Create a blank disk of that size; an existing disk keeps its contents and grows if it is smaller."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        if handle.seek(0, os.SEEK_END) < size_gib * _GIB:
            handle.truncate(size_gib * _GIB)


@dataclass(frozen=True, slots=True)
class _Loop:
    name: str
    file: Path
    leaving: bool  # removed when its last user closes it
    deleted: bool  # its file was deleted: no other process can open it


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
    """Map backing file to loop device, for every loop device on a file below `directory`.

    Omits the device of a data disk that was detached while a process had it open.
    """
    # The system disk's device is always in this state: it is removed when its file system is unmounted.
    return {each.file: each.name for each in _loops(directory) if not each.leaving or each.file.name == SYSTEM_DISK}


def attach_loop(path: Path) -> str:
    """Attach a loop device to the file, or return the existing one."""
    present = loop_devices(path.parent).get(path)
    return present or _run(["losetup", "--find", "--show", str(path)]).strip()


def follow_size(path: Path) -> None:
    """Resize the file's loop device, if it has one, to the file's present size."""
    if loop := loop_devices(path.parent).get(path):
        _run(["losetup", "--set-capacity", loop])


def release(path: Path, timeout_s: float) -> None:
    """Detach the loop device from a data disk's file.

    A process that still has the device open after that time keeps the old file, and the disk continues with a copy:
    otherwise the old device's page cache would overwrite what the disk's next machine writes.
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
    """Shut down every file system of the device that is mounted in the mount namespace of `pid`, as if unplugged."""
    major, minor = device_numbers(device)
    with contextlib.suppress(FileNotFoundError):
        for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
            fields = line.split()
            if fields[2] != f"{major}:{minor}":
                continue
            try:
                place = open_inside(Path(f"/proc/{pid}/root"), _unescaped(fields[4]), os.O_RDONLY)
            except OSError as error:
                if error.errno == errno.EIO:  # shut down through another mount, or by an earlier call that was killed
                    continue
                raise
            try:
                # If another file system is mounted over it, the path leads to that one, which must not be shut down.
                if os.fstat(place).st_dev == os.makedev(major, minor):
                    sync_file_system(place)
                    fcntl.ioctl(place, _IOC_SHUTDOWN, struct.pack("I", _SHUTDOWN_LOGFLUSH))
            finally:
                os.close(place)


def _unescaped(path: str) -> str:
    """Decode a path of /proc/PID/mountinfo, where blanks and backslashes are octal."""
    return path.encode().decode("unicode_escape").encode("latin-1").decode(errors="surrogateescape")


def detach_loops(directory: Path) -> None:
    for each in _loops(directory):
        subprocess.run(["losetup", "--detach", each.name], check=False, capture_output=True)


def device_numbers(device: str) -> tuple[int, int]:
    number = Path(device).stat()
    if not stat.S_ISBLK(number.st_mode):
        raise MachineError(f"{device} is not a block device")
    return os.major(number.st_rdev), os.minor(number.st_rdev)


def _run(command: list[str], *, fine: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in fine:
        raise MachineError(f"{' '.join(command)} exited with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
