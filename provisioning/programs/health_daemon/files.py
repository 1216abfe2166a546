"""The files in /run/tandem, which keepalived, systemd's hooks and the agent read.

It is a tmpfs, so a full disk has no effect.
"""

# ruff: noqa: PTH105, PTH108, PTH110, PTH123 - pathlib and its imports would cost this daemon 1 MB
from __future__ import annotations

import contextlib
import json
import os
import socket

RUN = "/run/tandem"
TRACK_FILE = f"{RUN}/nginx"  # read by keepalived
PEER_FILE = (
    f"{RUN}/peer"  # "answers" or "silent", and the uptime of this word in seconds; read by ExecStopPost of nginx
)
ABLE_FILE = f"{RUN}/able"  # exists while this node is not in FAULT; the daemons of the peers read it through nginx
BOOTED_FILE = f"{RUN}/booted"  # exists when the node is not in FAULT any more after its boot
PROBED_FILE = f"{RUN}/probed"  # exists while the daemon works; read by its own ExecStopPost
OUT_FILE = f"{RUN}/out.json"  # the servers that are out, for the next start of the daemon
AWAY_FILE = f"{RUN}/database-away"  # exists while the database of the IAM services does not answer; read by nginx
MASTER_DIRECTORY = f"{RUN}/master"  # a file for each virtual router of which this node is master (event_recorder.py)
_SHORT = 64  # bytes of a value with its padding
EVENTS_FIFO = f"{RUN}/events"


def read(path: str) -> str:
    """The value in one of these files; "" if it cannot be read. A file object would cost ten times as much."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, _SHORT).decode("ascii").strip()
    except (OSError, ValueError):
        return ""
    finally:
        os.close(fd)


def read_all(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def write(path: str, text: str) -> None:
    """Write a short text in place. With a fixed width it needs no new page, even if the file system is full."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(fd, text.ljust(31).encode() + b"\n", 0)
    finally:
        os.close(fd)


def write_json(path: str, value: object) -> None:
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(path + ".new", path)


def exists(path: str) -> bool:
    return os.path.exists(path)


def set_flag(path: str, *, exists: bool) -> None:
    if exists:
        write(path, "1")
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def free_bytes(path: str) -> int | None:
    """The space that an unprivileged process such as nginx may use; None if there is no such directory."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


class Systemd:
    """sd_notify(3)."""

    def __init__(self, environment: dict[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    def notify(self, text: str) -> None:
        try:
            if self._address:
                self._socket.sendto(text.encode(), self._address)
        except OSError:  # systemd's queue is full; the next message follows soon
            pass
