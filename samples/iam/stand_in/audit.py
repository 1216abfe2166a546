"""Audit records, one for each decision. They go from the authz-server's buffer through a Redis list to the pump."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgpack

from .codes import IamError
from .journal import Journal
from .jsontext import dump
from .ladon import Asked, Decision
from .stores import AUDIT_LIST, Messages, MessagesError

FIELDS = ("TimeStamp", "Username", "Effect", "Conclusion", "Request", "Policies", "Deciders", "ExpireAt")
_KEPT = timedelta(days=365 * 100)


Value = str | int | datetime | None


class PackError(IamError):
    """The bytes are not an audit record."""


def pack_fields(fields: Mapping[str, Value]) -> bytes:
    """MessagePack, as the real authz-server writes it: in a rollout it may share a group with the stand-in's pump."""
    return cast("bytes", msgpack.packb(dict(fields), datetime=True))


def unpack_fields(data: bytes) -> dict[str, Value]:
    """Raises PackError."""
    try:
        fields = msgpack.unpackb(data, timestamp=3)  # 3 = as datetime
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise PackError(f"truncated or invalid: {error}") from error
    if not isinstance(fields, dict) or not all(isinstance(value, Value) for value in fields.values()):
        raise PackError(f"must be a map of strings, integers and timestamps (got {type(fields).__name__})")
    return fields


@dataclass(frozen=True, slots=True)
class Record:
    timestamp: int  # unix seconds
    username: str  # owner of the evaluated policies
    effect: str  # allow | deny
    conclusion: str  # conclusion as text
    request: str  # JSON, like the next two fields
    policies: str
    deciders: str
    expire_at: datetime

    @classmethod
    def of(cls, asked: Asked, policies: Sequence[Mapping[str, Any]], decision: Decision) -> Record:
        now = datetime.now(UTC)
        return cls(
            timestamp=int(now.timestamp()),
            username=str(asked.context["username"]),
            effect="allow" if decision.allowed else "deny",
            conclusion=_conclusion(decision),
            request=dump(asked.to_json()),
            policies=dump(list(policies)),
            deciders=dump(list(decision.deciders)),
            expire_at=now + _KEPT,
        )

    def pack(self) -> bytes:
        values = (
            self.timestamp, self.username, self.effect, self.conclusion,
            self.request, self.policies, self.deciders, self.expire_at,
        )  # fmt: skip
        return pack_fields(dict(zip(FIELDS, values, strict=True)))

    @classmethod
    def unpack(cls, data: bytes) -> Record:
        """Raises PackError."""
        given = unpack_fields(data)
        expire_at, timestamp = given.get("ExpireAt"), given.get("TimeStamp")
        if not isinstance(expire_at, datetime) or not isinstance(timestamp, int):
            raise PackError(f"not an audit record: it has {', '.join(given) or 'no fields'}")
        username, effect, conclusion, request, policies, deciders = (str(given.get(name, "")) for name in FIELDS[1:-1])
        return cls(timestamp, username, effect, conclusion, request, policies, deciders, expire_at)

    def to_row(self, *, detailed: bool) -> list[str]:
        """A line of the csv sink; `omit-detailed-recording` blanks the policies and deciders."""
        return [
            str(self.timestamp),
            self.username,
            self.effect,
            self.conclusion,
            self.request,
            self.policies if detailed else "",
            self.deciders if detailed else "",
            f"{self.expire_at:%Y-%m-%d %H:%M:%S.%f} +0000 UTC",
        ]

    def to_map(self) -> str:
        """The message of the syslog sink: a map as Go prints it, with the keys in order."""
        return (
            f"map[conclusion:{self.conclusion} deciders:{self.deciders} effect:{self.effect} "
            f"expireAt:{self.expire_at:%Y-%m-%d %H:%M:%S.%f} +0000 UTC policies:{self.policies} "
            f"request:{self.request} timestamp:%!s(int64={self.timestamp}) username:{self.username}]"
        )


def _conclusion(decision: Decision) -> str:
    names = [str(policy["id"]) for policy in decision.deciders]
    if decision.allowed:
        return f"policies {', '.join(names)} allow access"
    if not names:
        return "no policy allowed access"
    if len(names) == 1:
        return f"policy {names[0]} forcefully denied the access"
    return f"policies {', '.join(names[:-1])} allow access, but policy {names[-1]} forcefully denied it"


class Recorder:
    """Collects records and sends them in batches from a separate thread, so that no request waits for Redis."""

    def __init__(self, messages: Messages, journal: Journal, *, size: int, flush_s: float) -> None:
        self._messages = messages
        self._journal = journal
        self._records = queue.Queue[bytes](maxsize=size)
        self._flush_s = flush_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._dropped = 0

    def start(self) -> None:
        self._thread.start()

    def record(self, record: Record) -> None:
        """Add a record without blocking. If Redis is down and the buffer is full, the record is dropped and counted."""
        try:
            self._records.put_nowait(record.pack())
        except queue.Full:
            self._dropped += 1

    def finish(self, deadline_s: float = 3.0) -> None:
        """Send the remaining records. Call this after the last request has finished."""
        self._stop.set()
        self._thread.join(deadline_s)

    def _work(self) -> None:
        waiting: list[bytes] = []
        while not self._stop.is_set():
            self._stop.wait(self._flush_s)
            waiting = self._send(waiting + self._collect(self._records.maxsize - len(waiting)))
        if waiting := self._send(waiting + self._collect(self._records.maxsize)):
            self._journal.error("audit records lost", records=len(waiting))

    def _collect(self, most: int) -> list[bytes]:
        batch: list[bytes] = []
        while len(batch) < most:
            try:
                batch.append(self._records.get_nowait())
            except queue.Empty:
                break
        return batch

    def _send(self, batch: list[bytes]) -> list[bytes]:
        """Returns the records that have to wait for Redis."""
        if batch:
            try:
                self._messages.append(AUDIT_LIST, batch)
            except MessagesError as error:
                self._journal.error("audit records wait for redis", records=len(batch), error=str(error))
                return batch
        if self._dropped:
            self._journal.error("audit records dropped, the buffer was full", records=self._dropped)
            self._dropped = 0
        return []
