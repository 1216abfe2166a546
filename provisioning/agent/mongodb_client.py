"""A minimal MongoDB client: OP_MSG, and the login with SCRAM-SHA-1 that iam-pump (marmotedu/iam 16c723d) uses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import struct
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .bson import decode, encode

_OP_MSG = 2013
_LARGEST_REPLY = 48_000_000  # maxMessageSizeBytes


class MongodbError(OSError):
    """MongoDB cannot be reached, or it rejected a command."""


class Mongodb:
    """A connection that has logged in, from a URL mongodb://USER:PASSWORD@HOST:PORT/DATABASE?authSource=NAME."""

    def __init__(self, url: str, timeout_s: float = 5) -> None:
        """Raises MongodbError."""
        parts = urlsplit(url)
        self.database = parts.path.lstrip("/")
        try:
            self._socket = socket.create_connection((parts.hostname or "", parts.port or 27017), timeout_s)
        except OSError as failed:
            raise MongodbError(f"{type(failed).__name__}: {failed}") from None
        source = parse_qs(parts.query).get("authSource", [self.database])[0]
        try:
            self._log_in(source, unquote(parts.username or ""), unquote(parts.password or ""))
        except MongodbError:
            self.close()
            raise

    def call(self, command: dict[str, Any], database: str = "") -> dict[str, Any]:
        """Run a command. Returns MongoDB's reply. Raises MongodbError."""
        body = struct.pack("<iB", 0, 0) + encode({**command, "$db": database or self.database})
        try:
            self._socket.sendall(struct.pack("<iiii", 16 + len(body), 1, 0, _OP_MSG) + body)
            size = struct.unpack("<i", self._read(4))[0]
            if not 21 <= size <= _LARGEST_REPLY:  # noqa: PLR2004 - header, flags, kind of the section
                raise ValueError("the reply is not MongoDB's")
            reply = decode(self._read(size - 4)[17:])
        except (OSError, ValueError, IndexError, struct.error) as failed:
            raise MongodbError(f"{type(failed).__name__}: {failed}") from None
        if reply.get("ok") != 1:
            raise MongodbError(str(reply.get("errmsg", "the command was rejected without a reason")))
        return reply

    def close(self) -> None:
        self._socket.close()

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            block = self._socket.recv(size - len(data))
            if not block:
                raise ConnectionError("the connection was closed")
            data += block
        return data

    def _log_in(self, source: str, user: str, password: str) -> None:
        """RFC 5802; MongoDB's password is the MD5 sum of user, "mongo" and password."""
        first = f"n={user},r={base64.b64encode(os.urandom(24)).decode()}"
        start = {"saslStart": 1, "mechanism": "SCRAM-SHA-1", "payload": f"n,,{first}".encode()}
        reply = self.call(start, source)
        challenge = _text(reply)
        try:
            given = dict(part.split("=", 1) for part in challenge.split(","))
            salt, iterations = base64.b64decode(given["s"]), int(given["i"])
        except (KeyError, ValueError):
            raise MongodbError("the login was answered with an invalid challenge") from None
        digest = hashlib.md5(f"{user}:mongo:{password}".encode()).hexdigest()  # noqa: S324 - the protocol's algorithm
        salted = hashlib.pbkdf2_hmac("sha1", digest.encode(), salt, iterations)
        last = f"c=biws,r={given.get('r', '')}"
        proof = _proof(salted, f"{first},{challenge},{last}")
        proceed = {"saslContinue": 1, "conversationId": reply.get("conversationId", 1)}
        reply = self.call({**proceed, "payload": f"{last},p={proof}".encode()}, source)
        if not reply.get("done"):
            self.call({**proceed, "payload": b""}, source)


def _text(reply: dict[str, Any]) -> str:
    payload = reply.get("payload", b"")
    return payload.decode(errors="replace") if isinstance(payload, bytes) else str(payload)


def _proof(salted: bytes, message: str) -> str:
    key = hmac.new(salted, b"Client Key", "sha1").digest()
    signature = hmac.new(hashlib.sha1(key).digest(), message.encode(), "sha1").digest()  # noqa: S324 - the protocol's
    proof = bytes(left ^ right for left, right in zip(key, signature))  # noqa: B905 - Python 3.9 has no strict
    return base64.b64encode(proof).decode()
