"""The change lock: only one rollout of a group at a time. Each node holds a lock file with its owner and age."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from provisioning.agent_calls import Connection, NodeLockedError
from provisioning.errors import ProvisioningError
from provisioning.parallel import in_parallel

LOCK_TTL_S = 180


@contextmanager
def locked(connections: Sequence[Connection]) -> Generator[str]:
    """Hold the lock on every node. Locks are taken in the order of node names, so two rollouts cannot deadlock."""
    token = secrets.token_hex(8)
    taken: list[Connection] = []
    finished = threading.Event()
    # An installation on one node may take longer than LOCK_TTL_S, so a thread renews all locks in the meantime.
    renewer = threading.Thread(target=_renew, args=(taken, token, finished), daemon=True)
    try:
        for connection in sorted(connections, key=lambda connection: connection.node.name):
            _lock(connection, token)
            taken.append(connection)
        renewer.start()
        yield token
    finally:
        finished.set()
        if renewer.ident is not None:
            renewer.join(10)
        in_parallel(taken, lambda connection: _unlock(connection, token))


def _lock(connection: Connection, token: str) -> None:
    operation = {"do": "lock", "owner": this_process(), "ttl_s": LOCK_TTL_S}
    try:
        connection.call([operation], token=token)
    except NodeLockedError as error:
        held_by = error.held_by
        if held_by is None or not is_dead(held_by["owner"]):
            raise
        connection.call([{**operation, "take_from": held_by["token"]}], token=token)


def _renew(connections: Sequence[Connection], token: str, finished: threading.Event) -> None:
    while not finished.wait(LOCK_TTL_S / 3):
        for connection in connections:
            with suppress(ProvisioningError):  # the next operation on that node reports the error
                connection.call([{"do": "renew"}], token=token, deadline_s=20)


def _unlock(connection: Connection, token: str) -> None:
    with suppress(ProvisioningError):  # the lock expires; do not hide the original error
        connection.call([{"do": "unlock"}], token=token, deadline_s=10)


# ---- the owner of a lock ---------------------------------------------------------------------------------------------


def this_process() -> dict[str, Any]:
    """The owner of a lock. Identifies the process, so that its host can check later whether it still runs."""
    return {
        "user": os.environ.get("USER", str(os.getuid())),
        "host": socket.gethostname(),
        "boot": _boot_id(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
    }


def is_dead(owner: dict[str, Any]) -> bool:
    """Whether the owner was a process of this host that has ended. False if that cannot be determined."""
    if owner.get("host") != socket.gethostname() or not owner.get("boot"):
        return False
    if owner["boot"] != _boot_id():
        return True
    return _started(owner["pid"]) != owner.get("started")


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """A process's start time in clock ticks; distinguishes it from a later process with the same id."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
