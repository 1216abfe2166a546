"""The last requests, for `localcloud log`. Secrets are removed before a request is stored."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

_KEPT = 10_000
_SECRET = frozenset({"Password", "UserData", "PrivateKey", "EncryptedUserData"})


@dataclass(slots=True)
class Entry:
    at: float
    service: str
    action: str
    region: str
    client: str
    request_id: str
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    error: str = ""
    took_ms: float = 0.0
    number: int = 0


class RequestLog:
    """A ring buffer of entries with increasing numbers."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self.total = 0

    def add(self, entry: Entry) -> None:
        self.total += 1
        entry.number = self.total
        entry.parameters = _without_secrets(entry.parameters)
        self._entries.append(entry)

    def after(self, number: int, limit: int = 1000) -> list[dict[str, Any]]:
        """Return the entries after that number, as JSON-able data."""
        found = [entry for entry in self._entries if entry.number > number]
        return [asdict(entry) for entry in found[:limit]]

    def last(self, count: int) -> list[dict[str, Any]]:
        """Return the last entries, oldest first."""
        return [asdict(entry) for entry in list(self._entries)[-count:]] if count else []


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return {
            name: f"<{len(str(entry))} characters>" if name in _SECRET else _without_secrets(entry)
            for name, entry in members.items()
        }
    if isinstance(value, list):
        return [_without_secrets(entry) for entry in cast("list[Any]", value)]
    return value
