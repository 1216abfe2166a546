"""Tells keepalived, through its track_file, whether nginx on this node serves. Standard library, one loop.

Blocking sockets: a third of a percent of a core and 10 MB (an event loop takes twice that).
A fault is reported only while the peer answers: two nodes in fault would be an address nowhere, so when
both are sick, or this daemon cannot tell, whoever holds the address keeps it.
"""

# ruff: noqa: PTH105, PTH110, PTH123 - pathlib and what it imports would cost this daemon a megabyte for nothing
from __future__ import annotations

import json
import os
import socket
import sys
import time

TRACK_FILE = "/run/tandem/nginx"  # what keepalived reads
PEER_FILE = "/run/tandem/peer"  # what systemd's ExecStopPost of nginx reads
DRAIN_FILE = "/run/tandem/drain"  # there during a planned hand-over


def answers(address: str, timeout_s: float, port: int = 80) -> bool:
    """Does an nginx answer there, over HTTP, in time? A hung one still accepts connections."""
    try:
        with socket.create_connection((address, port), timeout_s) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: health\r\n\r\n")
            return connection.recv(64).startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
    except OSError:
        return False


def write(path: str, text: str) -> None:
    """Replace, so that nobody ever reads half a value; keepalived is told of renames too."""
    new = path + ".new"
    with open(new, "w", encoding="ascii") as file:
        file.write(text + "\n")
    os.replace(new, path)


def read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


class Judge:
    """ChangeLock single probes into what keepalived is told. Pure: `tests/unit/provisioning/test_health_daemon.py`."""

    def __init__(self, fall: int, fault: int, drain: int) -> None:
        self.fall = fall
        self.fault = fault
        self.drain = drain
        self.failures = 0

    def value(self, *, nginx_answers: bool, peer_answers: bool, draining: bool) -> int:
        self.failures = 0 if nginx_answers else self.failures + 1
        if self.failures >= self.fall and peer_answers:
            return self.fault
        return self.drain if draining else 0


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        settings = json.load(file)
    interval_s, timeout_s = settings["interval_s"], settings["timeout_s"]
    judge = Judge(settings["fall"], settings["fault"], settings["drain"])
    while True:
        began = time.monotonic()
        nginx_answers = answers("127.0.0.1", timeout_s)
        peer_answers = any(answers(peer, timeout_s) for peer in settings["peers"])
        said = "answers" if peer_answers else "silent"
        if read(PEER_FILE) != said:
            write(PEER_FILE, said)
        value = str(
            judge.value(nginx_answers=nginx_answers, peer_answers=peer_answers, draining=os.path.exists(DRAIN_FILE))
        )
        # A failed probe that is not yet a fault says nothing: systemd may just have written one.
        if read(TRACK_FILE) != value and (nginx_answers or judge.failures >= judge.fall):
            write(TRACK_FILE, value)
        time.sleep(max(0.0, interval_s - (time.monotonic() - began)))


if __name__ == "__main__":
    main()
