"""One rollout at a time for one group: a lock on each of its machines, with owner and age."""

from __future__ import annotations

import secrets
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from provisioning import owner as owners
from provisioning.errors import ProvisioningError
from provisioning.parallel import at_once
from provisioning.transport import MachineLockedError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from provisioning.transport import Connection

LOCK_TTL_S = 180


@contextmanager
def locked(connections: Sequence[Connection]) -> Generator[str]:
    """The lock on every machine, taken in the order of their names so that two rollouts cannot each hold half."""
    token = secrets.token_hex(8)
    taken: list[Connection] = []
    over = threading.Event()
    # One machine may install packages for longer than another's lock lasts: all are renewed beside the work.
    renewer = threading.Thread(target=_renew, args=(taken, token, over), daemon=True)
    try:
        for connection in sorted(connections, key=lambda connection: connection.host.name):
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
    operation = {"do": "lock", "owner": owners.this_process(), "ttl_s": LOCK_TTL_S}
    try:
        connection.call([operation], token=token)
    except MachineLockedError as error:
        holder = error.holder
        if holder is None or not owners.is_dead(holder["owner"]):
            raise
        connection.call([{**operation, "take_from": holder["token"]}], token=token)


def _renew(connections: Sequence[Connection], token: str, over: threading.Event) -> None:
    while not over.wait(LOCK_TTL_S / 3):
        for connection in connections:
            with suppress(ProvisioningError):  # the next operation there finds out and says so
                connection.call([{"do": "renew"}], token=token, deadline_s=20)


def _unlock(connection: Connection, token: str) -> None:
    with suppress(ProvisioningError):  # it expires; the error that brought us here, if any, says more
        connection.call([{"do": "unlock"}], token=token, deadline_s=10)
