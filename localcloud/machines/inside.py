"""Run commands and open files inside a running machine, with no more rights than the machine has.

Commands run through this file as a script, in the machine's control groups and namespaces:

    python3 -IS inside.py PID GROUPS -- COMMAND ...          (GROUPS: cgroup directories, separated by colons)

nsenter(1) is not suitable. It joins no control group, so the command would escape the machine's limits. It leaves the
command all rights on the host (`date -s` would set the host's clock). It stops itself when its child is stopped, as
systemd-shutdown does with every process, and then never reaps it, so that the machine's shutdown waits 90 s.

Files are opened with the machine's root directory as root: a path below /proc/PID/root is resolved from the root of the
process that opens it, so an absolute symbolic link on the machine would lead to the host's files.

Standard library only, and no import of this package: the script starts in 20 ms.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NoReturn

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
}

# In the order of entering; after the mount namespace is entered, the host's files are out of reach.
_NAMESPACES = (("ipc", 0x08000000), ("uts", 0x04000000), ("net", 0x40000000), ("pid", 0x20000000), ("mnt", 0x00020000))

# Capabilities that affect the host: CAP_SYS_MODULE, SYS_RAWIO, SYS_TIME, MAC_OVERRIDE, MAC_ADMIN, SYSLOG, WAKE_ALARM,
# BPF.
WITHHELD = {
    "SYS_MODULE": 16, "SYS_RAWIO": 17, "SYS_TIME": 25, "MAC_OVERRIDE": 32, "MAC_ADMIN": 33, "SYSLOG": 34,
    "WAKE_ALARM": 35, "BPF": 39,
}  # fmt: skip
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_NOT_FOUND = 127
_NOT_RUN = 126

# openat2(2); the number is the same on all architectures. Its structure has flags, mode, and how links are resolved.
_OPENAT2 = 437
_HOW = struct.Struct("QQQ")
_RESOLVE_IN_ROOT = 0x10

_libc = ctypes.CDLL(None, use_errno=True)


def command_inside(pid: int, groups: Iterable[Path], command: list[str]) -> list[str]:
    """Return a host command line that runs `command` as root on the machine with that PID 1 and those cgroups."""
    return [sys.executable, "-IS", __file__, str(pid), ":".join(str(path) for path in groups), "--", *command]


def become(pid: int, groups: Iterable[Path], command: list[str], *, interactive: bool = False) -> NoReturn:
    """Replace this process by the command on the machine; argv is passed unchanged."""
    environment = dict(ENVIRONMENT)
    if interactive:
        environment["TERM"] = os.environ.get("TERM", "dumb")
    line = command_inside(pid, groups, command)
    os.execve(line[0], line, environment)  # noqa: S606 - to become the command is the point


def open_inside(root: Path, path: str, flags: int) -> int:
    """Open `path` as a process with that root directory would; return the descriptor. Raises OSError."""
    flags |= os.O_CLOEXEC
    if not flags & os.O_PATH:
        flags |= os.O_NONBLOCK | os.O_NOCTTY  # a FIFO or terminal of that name must not block the open
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
    """Open a regular file for appending; create it if it is missing. Raises OSError."""
    descriptor = open_inside(root, path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    return descriptor


def remove_file(root: Path, path: str) -> None:
    """Remove the file. Raises FileNotFoundError and other OSErrors."""
    name = PurePosixPath(path)
    parent = open_inside(root, str(name.parent), os.O_PATH | os.O_DIRECTORY)
    try:
        os.unlink(name.name, dir_fd=parent)
    finally:
        os.close(parent)


def sync_file_system(descriptor: int) -> None:
    """Call syncfs(2): flush the file system of an open file to its disk. Raises OSError if the disk failed."""
    _libc.syncfs(descriptor)


def main(arguments: list[str]) -> int:
    """Return the command's exit code, or 128 + N if signal N ended it."""
    pid, groups, _, *command = arguments
    _join(groups.split(":"))
    _enter(int(pid))
    child = os.fork()  # only a child is in the PID namespace
    if child == 0:
        _execute(command)
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the terminal sends them to the command as well
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(child, received))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _join(groups: list[str]) -> None:
    for group in groups:
        try:
            (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
        except OSError:
            # cgroup v2 does not let a process join a group that has subgroups: the limits of the subgroups apply then.
            continue


def _enter(pid: int) -> None:
    try:
        descriptors = [(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY), flag) for name, flag in _NAMESPACES]
    except OSError as error:
        sys.exit(f"localcloud: the machine has just ended ({error.strerror})")
    for descriptor, flag in descriptors:
        if _libc.setns(descriptor, flag) != 0:
            sys.exit(f"localcloud: setns: {os.strerror(ctypes.get_errno())}")
        os.close(descriptor)


def _execute(command: list[str]) -> None:
    # If the process that started this one is killed, the command ends too, as on a closed connection.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGHUP, 0, 0, 0)
    for number in WITHHELD.values():
        _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    for home in ("/root", "/"):
        try:
            os.chdir(home)
        except OSError:
            continue
        break
    try:
        os.execvp(command[0], command)  # noqa: S606 - to become the command is the point
    except OSError as error:
        sys.stderr.write(f"localcloud: {command[0]}: {error.strerror}\n")
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
