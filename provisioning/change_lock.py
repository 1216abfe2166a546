"""The change lock: one operator at a time changes a group.

Each node holds a lease with its owner, which this module renews in the background (provisioning/agent/change_lock.py).
Only the lease decides: a process id means nothing on another host or in another container, so an owner that still
renews is never robbed. The lease of an owner that was killed is released when its SSH connection ends, or expires.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from provisioning.errors import ProvisioningError
from provisioning.parallel import in_parallel
from provisioning.ssh.agent_calls import CALL_DEADLINE_S, Connection, NodeLockedError, Upload, describe_lease

LEASE_S = 30.0
RENEWAL_S = 5.0
# `lock` waits on the node for a changing call that a killed owner left running, for up to 120 s.
_LOCK_DEADLINE_S = 150.0


class LockedConnection:
    """A connection whose calls carry the token of a change lock."""

    def __init__(self, connection: Connection, token: str) -> None:
        self.node = connection.node
        self._connection = connection
        self._token = token

    def call(
        self,
        operations: Sequence[dict[str, Any]],
        *,
        token: str = "",
        upload: Upload | None = None,
        deadline_s: float = CALL_DEADLINE_S,
        report: Callable[[str], None] = lambda _line: None,
    ) -> list[Any]:
        token = token or self._token
        return self._connection.call(operations, token=token, upload=upload, deadline_s=deadline_s, report=report)

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Lock:
    """A change lock that this process holds."""

    token: str  # of every changing call
    # By node: the last changing call before this owner. Facts with the same value are still true.
    changes: Mapping[str, str] = field(default_factory=dict[str, str])

    def on(self, connection: Connection) -> LockedConnection:
        """The connection for changing calls."""
        return LockedConnection(connection, self.token)


@contextmanager
def locked(
    connections: Sequence[Connection],
    report: Callable[[str], None] = lambda _line: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[Lock]:
    """Hold the lock on every node.

    Raises:
        LockedError: another owner holds the lock and renews it.
    """
    token = secrets.token_hex(16)
    finished = threading.Event()
    # An installation may take longer than the lease. A thread for each node: a slow node must not delay the others.
    renewers = [threading.Thread(target=_renew, args=(each, token, finished), daemon=True) for each in connections]
    for renewer in renewers:
        renewer.start()
    try:
        yield Lock(token, _lock_all(connections, token, report, sleep))
    finally:
        finished.set()
        for renewer in renewers:
            renewer.join(10)
        in_parallel(connections, lambda connection: _unlock(connection, token))


def _lock_all(
    connections: Sequence[Connection], token: str, report: Callable[[str], None], sleep: Callable[[float], None]
) -> dict[str, str]:
    """Lock all nodes in parallel; if one refuses, in the order of names, so that two operators cannot deadlock."""

    def try_to_lock(connection: Connection) -> str | None:
        try:
            return _lock(connection, token)
        except NodeLockedError:
            return None

    locked_at = in_parallel(connections, try_to_lock)
    changes = {
        connection.node.name: at for connection, at in zip(connections, locked_at, strict=True) if at is not None
    }
    if len(changes) == len(connections):
        return changes
    in_parallel(connections, lambda connection: _unlock(connection, token))
    return {
        connection.node.name: _wait_for_lock(connection, token, report, sleep)
        for connection in sorted(connections, key=lambda connection: connection.node.name)
    }


def _lock(connection: Connection, token: str) -> str:
    operation = {"do": "lock", "owner": this_process(), "ttl_s": LEASE_S}
    return str(connection.call([operation], token=token, deadline_s=_LOCK_DEADLINE_S)[0])


def _wait_for_lock(
    connection: Connection, token: str, report: Callable[[str], None], sleep: Callable[[float], None]
) -> str:
    """Take the lock when it is released or expires. Raises NodeLockedError as soon as its owner renews it."""
    first: Mapping[str, Any] | None = None
    while True:
        try:
            return _lock(connection, token)
        except NodeLockedError as error:
            lease = error.held_by
            if lease is None:
                raise
            if first is None:
                report(f"{connection.node.name}: the change lock is {describe_lease(lease)}; waiting for its owner")
            elif (lease["token"], lease["renewals"]) != (first["token"], first["renewals"]):
                raise
            first = lease
        sleep(0.5)


def _renew(connection: Connection, token: str, finished: threading.Event) -> None:
    while not finished.wait(RENEWAL_S):
        with suppress(ProvisioningError):  # the next changing call on that node reports the error
            connection.call([{"do": "renew"}], token=token, deadline_s=LEASE_S)


def _unlock(connection: Connection, token: str) -> None:
    with suppress(ProvisioningError):  # the lease expires; do not hide the original error
        connection.call([{"do": "unlock"}], token=token, deadline_s=10)


def this_process() -> dict[str, Any]:
    """The owner of a lease, as it is shown to other operators."""
    return {"user": getpass.getuser(), "host": socket.gethostname(), "pid": os.getpid()}


# ---- for `tandem unlock` ---------------------------------------------------------------------------------------------


def find_lock(connection: Connection) -> Mapping[str, Any] | None:
    """The lease on a node, also if it has expired, or None."""
    return connection.call([{"do": "locked"}], deadline_s=30)[0]


def break_lock(connection: Connection, lease: Mapping[str, Any]) -> bool:
    """Release this lease. Returns False if it was released or taken by another owner in the meantime."""
    return bool(connection.call([{"do": "unlock"}], token=lease["token"], deadline_s=30)[0])
