"""Files of a running machine, reached from this host with the machine's root as root.

An absolute link that the machine has made, by malice or to have /var/tmp elsewhere, would otherwise lead to the
host's own files: a path below /proc/PID/root is followed from the root of whoever follows it.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from pathlib import Path, PurePosixPath

from localcloud.errors import MachineError

# openat2(2), a number that all architectures share; its structure has flags, mode, and how links are followed.
_OPENAT2 = 437
_HOW = struct.Struct("QQQ")
_RESOLVE_IN_ROOT = 0x10

_libc = ctypes.CDLL(None, use_errno=True)


def open_inside(root: Path, path: str, flags: int) -> int:
    """A descriptor of `path` as a process with that root would open it. Raises OSError."""
    flags |= os.O_CLOEXEC
    if not flags & os.O_PATH:
        flags |= os.O_NONBLOCK | os.O_NOCTTY  # a pipe or a terminal by that name must not hold up who opens it
    how = _HOW.pack(flags, 0o600 if flags & os.O_CREAT else 0, _RESOLVE_IN_ROOT)
    base = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = _libc.syscall(_OPENAT2, base, os.fsencode(path), how, _HOW.size)
    finally:
        os.close(base)
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return descriptor


def open_file(root: Path, path: str) -> int:
    """A regular file to be added to, made when there is none. Raises OSError, and MachineError for what is no file."""
    descriptor = open_inside(root, path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        message = f"/{path} on the machine is no regular file"
        raise MachineError(message)
    return descriptor


def remove_file(root: Path, path: str) -> None:
    """Raises FileNotFoundError and other OSErrors."""
    name = PurePosixPath(path)
    parent = open_inside(root, str(name.parent), os.O_PATH | os.O_DIRECTORY)
    try:
        os.unlink(name.name, dir_fd=parent)
    finally:
        os.close(parent)


def sync_file_system(descriptor: int) -> None:
    """syncfs(2): what was written to the file system of an open file is on its disk, or the disk has failed."""
    _libc.syncfs(descriptor)
