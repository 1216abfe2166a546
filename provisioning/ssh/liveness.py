"""Notices a node that is silent while its connection stays open, such as one behind a bastion that has lost power."""

from __future__ import annotations

import contextlib
import threading
import time

import paramiko

ASK_EVERY_S = 5.0
# A node under heavy load answers late. Without a bastion, TCP notices a dead node earlier (transport.py).
SILENT_AFTER_S = 45.0


class Liveness:
    """Asks the SSH server regularly, which must answer requests that it does not know, too (RFC 4254, 4)."""

    def __init__(self, transport: paramiko.Transport, ask_every_s: float, silent_after_s: float) -> None:
        self._transport = transport
        self._ask_every_s = ask_every_s
        self._silent_after_s = silent_after_s
        self._answered_at = time.monotonic()
        threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):  # the calls report the broken connection
            while self._transport.is_active():
                self._transport.global_request("keepalive@openssh.com")
                self._answered_at = time.monotonic()
                time.sleep(self._ask_every_s)

    def check(self, moved_at: float) -> None:
        """Raises TimeoutError if the node has been silent for too long, and no data has been sent since `moved_at`.

        The answers wait behind an upload over a slow line.
        """
        if time.monotonic() - max(self._answered_at, moved_at) > self._silent_after_s:
            raise TimeoutError(f"the node did not answer for {self._silent_after_s:.0f} s")
