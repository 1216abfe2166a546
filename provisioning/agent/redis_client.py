"""A minimal Redis client (RESP2): one connection, one command at a time."""

from __future__ import annotations

import socket
from typing import Any


class RedisError(OSError):
    """Redis cannot be reached, or it rejected a command."""


class Redis:
    """A connection that has logged in. Raises RedisError."""

    def __init__(self, host: str, port: int, password: str, timeout_s: float = 5) -> None:
        try:
            self._socket = socket.create_connection((host, port), timeout_s)
        except OSError as failed:
            raise RedisError(f"{type(failed).__name__}: {failed}") from None
        self._reader = self._socket.makefile("rb")
        if password:
            try:
                self.call("AUTH", password)
            except RedisError:
                self.close()
                raise

    def call(self, *words: str) -> Any:
        """Run a command. Returns text, a number, a list or None. Raises RedisError."""
        encoded = [word.encode() for word in words]
        parts = [b"*%d\r\n" % len(encoded), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)]
        try:
            self._socket.sendall(b"".join(parts))
            return self._read()
        except RedisError:
            raise
        except (OSError, ValueError) as failed:
            raise RedisError(f"{type(failed).__name__}: {failed}") from None

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def _read(self) -> Any:
        line = self._reader.readline()
        if not line:
            raise RedisError("the connection was closed")
        kind, rest = line[:1], line[1:].strip().decode(errors="replace")
        if kind == b"-":
            raise RedisError(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if int(rest) < 0 else self._reader.read(int(rest) + 2)[:-2].decode(errors="replace")
        if kind == b"*":
            return [self._read() for _ in range(int(rest))]
        return rest
