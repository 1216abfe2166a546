"""The audit records on their way through Redis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item


@dataclass(frozen=True, slots=True)
class AuditQueue(Item):
    """The queue of audit records without a stale lock.

    The pumps of all nodes share a lock in Redis. A pump that is killed while it writes leaves the lock for ten minutes,
    and no other pump moves records.
    """

    host: str
    port: int
    password: str  # of Redis; may be a placeholder
    interval_s: int  # at which the pumps move records
    sink: str = ""  # directory of the csv files on this node
    mongodb: str = ""  # URL of the MongoDB that all pumps write to, with the login; may contain a placeholder
    collection: str = ""  # in this MongoDB

    @property
    def label(self) -> str:
        return "lock of iam-pump"

    def question(self) -> dict[str, Any]:
        return {"host": self.host, "port": self.port, "password": self.password}

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        held_s = answer.get(f"{self.host}:{self.port}", {}).get("stale_s", 0)
        return f"held for {held_s:.0f} s by a pump that was stopped" if held_s else None

    def operation(self) -> dict[str, Any]:
        return {**self.question(), "sink": self.sink, "mongodb": self.mongodb, "collection": self.collection}
