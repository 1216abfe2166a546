"""Records in memory, written through to SQLite in one transaction for each request.

What was answered is in the file: the commit comes before the answer. WAL with synchronous=NORMAL hands
every commit to the kernel, which outlives a killed process (only a power cut could lose the last ones).
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from localcloud.state.catalog import Image
from localcloud.state.records import Record
from localcloud.state.timing import Timing

R = TypeVar("R", bound=Record)
Key = tuple[type[Record], str]

# No vowels and no look-alikes are left out: the real ids use the whole alphabet.
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, id TEXT NOT NULL, place INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


@cache
def _adapter(kind: type[R]) -> TypeAdapter[R]:
    return TypeAdapter(kind)


def kinds() -> dict[str, type[Record]]:
    """Every kind of record that has been defined, by name."""
    return {kind.__name__: kind for kind in Record.__subclasses__()}


class Store:
    """All committed records. Not thread-safe: `Cloud` holds the lock."""

    def __init__(self, path: Path | None, seed: str) -> None:
        self.seed = seed
        self.records: dict[type[Record], dict[str, Record]] = {}
        self.facts: dict[str, str] = {}
        self._places: dict[Key, int] = {}
        self._next_place = 0
        self._file = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        if path is not None:
            path.chmod(0o600)  # user data and private keys are in it
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
            self.records.setdefault(kind, {})[record_id] = _adapter(kind).validate_json(body)
            self._places[kind, record_id] = place
            self._next_place = place + 1
        self.facts.update(self._file.execute("SELECT name, value FROM facts"))

    def commit(self, changes: Mapping[Key, Record | None], facts: Mapping[str, str]) -> None:
        """Write the changes to the file, then to memory. A None deletes."""
        if not changes and not facts:
            return
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
            of_kind = self.records.setdefault(kind, {})
            if record is None:
                of_kind.pop(record_id, None)
                self._places.pop((kind, record_id), None)
            else:
                of_kind[record_id] = record
        self.facts.update(facts)

    def clear(self) -> None:
        """Forget everything, ids' counters too."""
        self._file.execute("DELETE FROM records")
        self._file.execute("DELETE FROM facts")
        self.records.clear()
        self.facts.clear()
        self._places.clear()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Transaction:
    """What one request sees and changes: the store's records with its own changes laid over them.

    Nothing reaches the store before the commit, so a refused request leaves no trace, not even a used-up id.
    """

    def __init__(self, store: Store, region: str, now: float, timing: Timing, images: tuple[Image, ...]) -> None:
        self._store = store
        self.region = region
        self.now = now
        self.timing = timing
        self.images = images
        self.request_id = ""
        self.changes: dict[Key, Record | None] = {}
        self.facts: dict[str, str] = {}

    def in_region(self, region: str) -> Transaction:
        """The committed records as a request to another region would see them; for reading only."""
        return Transaction(self._store, region, self.now, self.timing, self.images)

    def find(self, kind: type[R], record_id: str) -> R | None:
        """The record of that id in this region (or in none), or None."""
        record = self._look(kind, record_id)
        return record if record is not None and self._visible(record) else None

    def _look(self, kind: type[R], record_id: str) -> R | None:
        record = self.changes.get((kind, record_id), ...)
        if record is ...:
            record = self._store.records.get(kind, {}).get(record_id)
        return record if isinstance(record, kind) else None

    def all(self, kind: type[R]) -> list[R]:
        """Every record of that kind in this region, oldest first."""
        return [record for record in self.everywhere(kind) if self._visible(record)]

    def everywhere(self, kind: type[R]) -> Iterator[R]:
        """Every record of that kind in all regions, oldest first."""
        committed = self._store.records.get(kind, {})
        for record_id in committed:
            record = self._look(kind, record_id)
            if record is not None:
                yield record
        for (changed, record_id), record in self.changes.items():
            if changed is kind and record_id not in committed and isinstance(record, kind):
                yield record

    def _visible(self, record: Record) -> bool:
        return record.region in {self.region, ""}

    def put(self, record: R) -> R:
        """Lay a new or changed record down."""
        self.changes[type(record), record.id] = record
        return record

    def delete(self, record: Record) -> None:
        """Take a record away."""
        self.changes[type(record), record.id] = None

    def fact(self, name: str) -> str:
        """A remembered word, "" if there is none."""
        return self.facts.get(name, self._store.facts.get(name, ""))

    def count(self, name: str) -> int:
        """The next number of a counter, from 1."""
        number = int(self.fact(f"count:{name}") or 0) + 1
        self.facts[f"count:{name}"] = str(number)
        return number

    def new_id(self, prefix: str) -> str:
        """`vpc-8dwg2a5q`: the seed and the number of ids given so far decide it."""
        return f"{prefix}-{self.scramble(prefix, self.count(prefix))}"

    def scramble(self, name: str, number: int, length: int = 8) -> str:
        """Letters and digits that look random and are a function of the seed, the name and the number."""
        digest = hashlib.sha256(f"{self._store.seed}:{name}:{number}".encode()).digest()
        value = int.from_bytes(digest)
        letters: list[str] = []
        for _ in range(length):
            value, index = divmod(value, len(_ALPHABET))
            letters.append(_ALPHABET[index])
        return "".join(letters)

    @property
    def shapes_network(self) -> bool:
        """Whether a record has changed that the network plan is made from."""
        return any(kind.shapes_network for kind, _ in self.changes)
