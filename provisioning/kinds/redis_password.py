"""Passwords that Redis accepts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item, Turn


@dataclass(frozen=True, slots=True)
class RedisPassword(Item):
    """A password that the default user of Redis accepts, besides those it accepts already.

    Redis is restarted only if it runs with other users than the file has, so that Tandem cannot change them.
    """

    password: str  # may be a placeholder
    address: str  # of Redis, "10.0.4.20"
    port: int
    unit: str = "redis-server"

    @property
    def label(self) -> str:
        return "Redis password"

    def question(self) -> dict[str, Any]:
        return self._where()

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        """`live` is None while Redis does not run."""
        hashed = redis_hash(self.password)
        if hashed not in answer.get("file", ()):
            return "not accepted"
        if answer.get("owner"):
            return answer["owner"]
        live = answer.get("live")
        return None if live is None or hashed in live else "not accepted until a restart"

    def turn(self) -> Turn:
        return Turn.BEFORE_OTHERS

    def removal(self) -> dict[str, Any]:
        """Named by the beginning of its hash, which is sufficient to find it."""
        return {**self._where(), "hash": redis_hash(self.password)[:12]}

    def _where(self) -> dict[str, Any]:
        return {"address": self.address, "port": self.port}

    def operation(self) -> dict[str, Any]:
        return {**self._where(), "unit": self.unit, "hash": redis_hash(self.password)}


def redis_hash(password: str) -> str:
    """The hash with which Redis stores a password. Commands and files contain this instead of the password."""
    return hashlib.sha256(password.encode()).hexdigest()
