"""Reports to keepalived, through its track_file, whether nginx on this node responds. Standard library only.

Blocking sockets use 0.3 % of a core and 10 MB; an event loop uses twice that. A fault is reported only while a peer
responds: with both nodes in FAULT no node would hold the virtual IP. If both fail, the master keeps it. After a boot
the node is in FAULT until nginx responds, or until BOOT_S have passed without a peer that responds.
"""

# ruff: noqa: PTH105, PTH110, PTH123 - pathlib and its imports would cost this daemon 1 MB
from __future__ import annotations

import json
import os
import socket
import sys
import time

TRACK_FILE = "/run/tandem/nginx"  # read by keepalived
PEER_FILE = "/run/tandem/peer"  # read by ExecStopPost of nginx
DRAIN_FILE = "/run/tandem/drain"  # exists during a switchover; contains the value to report
BOOT_S = 30.0


def answers(address: str, timeout_s: float, port: int = 80) -> bool:
    """Whether nginx at that address answers an HTTP request in time. A hung nginx still accepts connections."""
    try:
        with socket.create_connection((address, port), timeout_s) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: health\r\n\r\n")
            return connection.recv(64).startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
    except OSError:
        return False


def write(path: str, text: str) -> None:
    """Replace a file atomically. keepalived's inotify watch includes renames."""
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


class FaultDetector:
    """Derives the value of keepalived's track_file from the results of single probes. Pure."""

    def __init__(self, fall: int, fault: int, *, boot_until: float = 0.0) -> None:
        self.fall = fall
        self.fault = fault
        self.boot_until = boot_until  # the node boots, and stays in FAULT until this time unless nginx answers before
        self.failures = 0

    def value(self, *, nginx_answers: bool, peer_answers: bool, drain: int, now: float = 0.0) -> int:
        """`drain` is the value that a switchover has requested, or 0. It may be a fault, too."""
        self.failures = 0 if nginx_answers else self.failures + 1
        if nginx_answers:
            self.boot_until = 0.0
        if now < self.boot_until or (self.failures >= self.fall and peer_answers):
            return self.fault
        return drain


def requested_drain(mark: str, default: int) -> int:
    """The value in the drain mark. An older version of Tandem writes an empty mark."""
    try:
        return int(read(mark) or default) if os.path.exists(mark) else 0
    except ValueError:
        return default


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        settings = json.load(file)
    interval_s, timeout_s = settings["interval_s"], settings["timeout_s"]
    # keepalived creates the file with the value of FAULT if it does not exist, as after a boot.
    booting = read(TRACK_FILE) in {"", str(settings["fault"])}
    boot_until = time.monotonic() + BOOT_S if booting else 0.0
    detector = FaultDetector(settings["fall"], settings["fault"], boot_until=boot_until)
    while True:
        began = time.monotonic()
        nginx_answers = answers("127.0.0.1", timeout_s)
        peer_answers = any(answers(peer, timeout_s) for peer in settings["peers"])
        peer = "answers" if peer_answers else "silent"
        if read(PEER_FILE) != peer:
            write(PEER_FILE, peer)
        drain = requested_drain(DRAIN_FILE, settings["drain"])
        value = str(detector.value(nginx_answers=nginx_answers, peer_answers=peer_answers, drain=drain, now=began))
        # Below the fault threshold the file stays: systemd may have written a fault when nginx stopped.
        if read(TRACK_FILE) != value and (nginx_answers or detector.failures >= detector.fall):
            write(TRACK_FILE, value)
        time.sleep(max(0.0, interval_s - (time.monotonic() - began)))


if __name__ == "__main__":
    main()
