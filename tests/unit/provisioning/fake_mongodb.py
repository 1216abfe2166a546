"""A fake of MongoDB that listens on loopback: a login with SCRAM-SHA-1 (RFC 5802), and `find`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import time
from typing import Any

from provisioning.agent.bson import ObjectId, decode, encode

USER, PASSWORD = "iam", "p@ss/w%rd"
URL = "mongodb://iam:p%40ss%2Fw%25rd@127.0.0.1:{port}/iam_analytics?authSource=admin"
_SALT, _ITERATIONS = b"0123456789abcdef", 4096


class FakeMongodb:
    """`refuses` is the error of each command but the login."""

    def __init__(self) -> None:
        self.records: list[tuple[ObjectId, str]] = []  # id and request, in iam_analytics.audit
        self.refuses = ""

    def add(self, request: str, age_s: int = 0) -> None:
        self.records.append((ObjectId(struct.pack(">I", int(time.time()) - age_s) + bytes(8)), request))

    def handle(self, connection: Any) -> None:
        session = _Session(self)
        while header := connection.rfile.read(16):
            size, number, _, code = struct.unpack("<iiii", header)
            assert code == 2013  # OP_MSG
            command = decode(connection.rfile.read(size - 16)[5:])
            body = struct.pack("<iB", 0, 0) + encode(session.answer(command))
            connection.wfile.write(struct.pack("<iiii", 16 + len(body), 1, number, 2013) + body)


class _Session:
    def __init__(self, server: FakeMongodb) -> None:
        self._server = server
        self._first = self._challenge = ""
        self._logged_in = False

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        match command:
            case {"saslStart": 1, "mechanism": "SCRAM-SHA-1", "payload": payload, "$db": "admin"}:
                self._first = payload.decode().removeprefix("n,,")
                salt = base64.b64encode(_SALT).decode()
                self._challenge = f"r={self._first.split('r=')[1]}-server,s={salt},i={_ITERATIONS}"
                return {"conversationId": 7, "done": 0, "payload": self._challenge.encode(), "ok": 1}
            case {"saslContinue": 1, "conversationId": 7, "payload": b""}:
                return {"conversationId": 7, "done": 1, "payload": b"", "ok": 1}
            case {"saslContinue": 1, "conversationId": 7, "payload": payload}:
                self._logged_in = self._verify(*payload.decode().split(",p="))
                refused = {"ok": 0, "errmsg": "Authentication failed."}
                return {"conversationId": 7, "done": 0, "payload": b"v=x", "ok": 1} if self._logged_in else refused
            case _ if self._server.refuses or not self._logged_in:
                return {"ok": 0, "errmsg": self._server.refuses or "command requires authentication"}
            case {"find": "audit", "filter": {"_id": {"$gte": since}, "request": {"$regex": text}}, "$db": database}:
                assert database == "iam_analytics"
                found = [each for each, request in self._server.records if each >= since and re.search(text, request)]
                return {
                    "ok": 1,
                    "cursor": {"id": 0, "firstBatch": {str(n): {"_id": each} for n, each in enumerate(found)}},
                }
            case {"buildInfo": 1}:
                return {"ok": 1, "version": "7.0.42"}
            case _:
                return {"ok": 0, "errmsg": f"no such command: {next(iter(command))}"}

    def _verify(self, last: str, proof: str) -> bool:
        """As the server does, which knows only the stored key: SHA1(proof XOR HMAC(stored key, messages))."""
        digest = hashlib.md5(f"{USER}:mongo:{PASSWORD}".encode()).hexdigest()  # noqa: S324 - MongoDB's algorithm
        salted = hashlib.pbkdf2_hmac("sha1", digest.encode(), _SALT, _ITERATIONS)
        stored = hashlib.sha1(hmac.digest(salted, b"Client Key", "sha1")).digest()  # noqa: S324 - RFC 5802
        signature = hmac.digest(stored, f"{self._first},{self._challenge},{last}".encode(), "sha1")
        key = bytes(left ^ right for left, right in zip(base64.b64decode(proof), signature, strict=True))
        return hashlib.sha1(key).digest() == stored  # noqa: S324 - RFC 5802
