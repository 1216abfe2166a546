"""Records in memory, written through to SQLite in one transaction per request.

The commit comes before the response, so every acknowledged change is in the file. WAL with synchronous=NORMAL passes
every commit to the kernel, so it survives a killed process (only a power cut can lose the last ones).
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from localcloud.rules.records import Record, kinds
from localcloud.rules.timing import LONGEST_PAST_S
from localcloud.rules.transaction import Committed, Key

R = TypeVar("R", bound=Record)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, id TEXT NOT NULL, place INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


@cache
def _adapter(kind: type[R]) -> TypeAdapter[R]:
    return TypeAdapter(kind)


class Store:
    """The committed records and their file. Not thread-safe: `Cloud` holds the lock."""

    def __init__(self, path: Path | None, seed: str) -> None:
        self.committed = Committed(seed)
        self._places: dict[Key, int] = {}
        self._next_place = 0
        self._former: deque[tuple[float, dict[Key, Record | None]]] = deque()
        self._file = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        if path is not None:
            path.chmod(0o600)  # it contains user data and private keys
            self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=NORMAL")
        self._file.executescript(_SCHEMA)
        self._load()

    def _load(self) -> None:
        known = kinds()
        for kind_name, record_id, place, body in self._file.execute(
            "SELECT kind, id, place, body FROM records ORDER BY place"
        ):
            kind = known[kind_name]
            self.committed.records.setdefault(kind, {})[record_id] = _adapter(kind).validate_json(body)
            self._places[kind, record_id] = place
            self._next_place = place + 1
        self.committed.facts.update(self._file.execute("SELECT name, value FROM facts"))

    def commit(self, changes: Mapping[Key, Record | None], facts: Mapping[str, str], now: float = 0.0) -> None:
        """Write the changes to the file, then to memory; None deletes a record.

        `now` is the time for `undone_since`.
        """
        if not changes and not facts:
            return
        self._keep_former(changes, now)
        written: list[tuple[str, str, int, str]] = []
        deleted: list[tuple[str, str]] = []
        for key, record in changes.items():
            kind, record_id = key
            if record is None:
                deleted.append((kind.__name__, record_id))
                continue
            if key not in self._places:
                self._places[key] = self._next_place
                self._next_place += 1
            body = _adapter(kind).dump_json(record).decode()
            written.append((kind.__name__, record_id, self._places[key], body))
        self._file.execute("BEGIN IMMEDIATE")
        try:
            self._file.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", written)
            self._file.executemany("DELETE FROM records WHERE kind = ? AND id = ?", deleted)
            self._file.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", list(facts.items()))
        except BaseException:
            self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")
        self._remember(changes, facts)

    def _remember(self, changes: Mapping[Key, Record | None], facts: Mapping[str, str]) -> None:
        for (kind, record_id), record in changes.items():
            of_kind = self.committed.records.setdefault(kind, {})
            if record is None:
                of_kind.pop(record_id, None)
                self._places.pop((kind, record_id), None)
            else:
                of_kind[record_id] = record
        self.committed.facts.update(facts)

    def _keep_former(self, changes: Mapping[Key, Record | None], now: float) -> None:
        while self._former and self._former[0][0] < now - LONGEST_PAST_S:
            self._former.popleft()
        records = self.committed.records
        self._former.append((now, {key: records.get(key[0], {}).get(key[1]) for key in changes}))

    def undone_since(self, moment: float) -> dict[Key, Record | None]:
        """Return the former values of the records that changed since then; None for records that did not exist."""
        undone: dict[Key, Record | None] = {}
        for at, former in reversed(self._former):
            if at <= moment:
                break
            undone.update(former)
        return undone

    def clear(self) -> None:
        self._file.execute("DELETE FROM records")
        self._file.execute("DELETE FROM facts")
        self.committed.records.clear()
        self.committed.facts.clear()
        self._places.clear()
        self._former.clear()

    def close(self) -> None:
        self._file.close()
