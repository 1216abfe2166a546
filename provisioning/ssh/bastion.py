"""The bastion: one login that all connections through it share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import paramiko

from provisioning.errors import UnreachableError
from provisioning.inventory import RemoteNode
from provisioning.ssh.agent_calls import node_name


class Bastion:
    """Logs in on first use, and out when nothing uses it any more.

    sshd limits logins (MaxStartups 10:30:100 refuses some of 11 parallel ones), but not the connections that one
    login forwards.
    """

    def __init__(self, node: RemoteNode, log_in: Callable[[], paramiko.Transport], timeout_s: float) -> None:
        self.node = node
        self._log_in = log_in
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._transport: paramiko.Transport | None = None
        self._users = 0
        self._attempts = 0
        self._refused: UnreachableError | None = None

    @contextmanager
    def used(self) -> Generator[None]:
        """Stay logged in meanwhile."""
        with self._lock:
            self._users += 1
        try:
            yield
        finally:
            self.release()

    def open_channel(self, to: RemoteNode) -> paramiko.Channel:
        """Forward a connection. Call `release` after it is closed. Raises UnreachableError."""
        transport = self._logged_in()
        try:
            return transport.open_channel(
                "direct-tcpip", (to.ssh_address, to.ssh_port), ("127.0.0.1", 0), timeout=self._timeout_s
            )
        except (paramiko.SSHException, OSError, EOFError) as error:
            self.release()
            raise UnreachableError(
                f"{node_name(to)}: no SSH connection through the bastion {self.node.name}",
                seen=f"{type(error).__name__}: {error}",
            ) from None

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and self._transport is not None:
                self._transport.close()
                self._transport = None

    def _logged_in(self) -> paramiko.Transport:
        attempts = self._attempts
        with self._lock:
            if self._transport is None or not self._transport.is_active():
                # Another thread tried while this one waited: its error is that of all, or they would time out in turn.
                if self._refused is not None and self._attempts != attempts:
                    raise self._refused
                self._attempts += 1
                try:
                    self._transport, self._refused = self._log_in(), None
                except UnreachableError as error:
                    self._refused = error
                    raise
            self._users += 1
            return self._transport
