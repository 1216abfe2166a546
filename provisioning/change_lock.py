"""One rollout at a time for one group: a lock on each of its nodes, with owner and age."""

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
from provisioning.parallel import at_once

LOCK_TTL_S = 180


@contextmanager
def locked(connections: Sequence[Connection]) -> Generator[str]:
    """The lock on every node, taken in the order of their names so that two rollouts cannot each hold half."""
    token = secrets.token_hex(8)
    taken: list[Connection] = []
    over = threading.Event()
    # One node may install packages for longer than another's lock lasts: all are renewed beside the work.
    renewer = threading.Thread(target=_renew, args=(taken, token, over), daemon=True)
    try:
        for connection in sorted(connections, key=lambda connection: connection.node.name):
            _lock(connection, token)
            taken.append(connection)
        renewer.start()
        yield token
    finally:
        over.set()
        if renewer.ident is not None:
            renewer.join(10)
        at_once(taken, lambda connection: _unlock(connection, token))


def _lock(connection: Connection, token: str) -> None:
    operation = {"do": "lock", "owner": this_process(), "ttl_s": LOCK_TTL_S}
    try:
        connection.call([operation], token=token)
    except NodeLockedError as error:
        held_by = error.held_by
        if held_by is None or not is_dead(held_by["owner"]):
            raise
        connection.call([{**operation, "take_from": held_by["token"]}], token=token)


def _renew(connections: Sequence[Connection], token: str, over: threading.Event) -> None:
    while not over.wait(LOCK_TTL_S / 3):
        for connection in connections:
            with suppress(ProvisioningError):  # the next operation there finds out and says so
                connection.call([{"do": "renew"}], token=token, deadline_s=20)


def _unlock(connection: Connection, token: str) -> None:
    with suppress(ProvisioningError):  # it expires; the error that brought us here, if any, says more
        connection.call([{"do": "unlock"}], token=token, deadline_s=10)


# ---- the owner of a lock ---------------------------------------------------------------------------------------------


def this_process() -> dict[str, Any]:
    """Who takes a lock: enough to tell later, from the same host, whether that process still lives."""
    return {
        "user": os.environ.get("USER", str(os.getuid())),
        "host": socket.gethostname(),
        "boot": _boot_id(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
    }


def is_dead(owner: dict[str, Any]) -> bool:
    """Did this very host start that process, and is it gone? What cannot be told from here is not dead."""
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
    """A process's start time in clock ticks: a number that its successor under the same id does not have."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
