"""The files in /run/tandem, which keepalived, systemd's hooks and the agent read.

It is a tmpfs, so a full disk has no effect.
"""

# ruff: noqa: PTH105, PTH108, PTH123 - pathlib and its imports would cost this daemon 1 MB
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
BOOTED_FILE = f"{RUN}/booted"  # exists when the node is not in FAULT any more after its boot
PROBED_FILE = f"{RUN}/probed"  # exists while the daemon works; read by its own ExecStopPost
OUT_FILE = f"{RUN}/out.json"  # the servers that are out, for the next start of the daemon
AWAY_FILE = f"{RUN}/database-away"  # exists while the database of the IAM services does not answer; read by nginx
EVENTS_FIFO = f"{RUN}/events"


def read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
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


class Events:
    """Reports to the event recorder, which has the format. Never waits; without a recorder it does nothing."""

    def __init__(self, fifo: str) -> None:
        self._fifo = fifo

    def report(self, subject: str, state: str, seen: str = "") -> None:
        try:
            fd = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # the recorder does not run
            return
        try:
            os.write(fd, f'HEALTH "{subject}" {state} {seen}'.strip().encode() + b"\n")
        except OSError:  # the FIFO is full
            pass
        finally:
            os.close(fd)


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
