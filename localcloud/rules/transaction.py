"""One request's view of the records: what is committed, with the request's own changes laid over it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from localcloud.rules.catalog import Image
from localcloud.rules.records import Record
from localcloud.rules.timing import Timing

R = TypeVar("R", bound=Record)
Key = tuple[type[Record], str]

# Who pays for the bandwidth of an EIP: the EIP itself, or the instance that it is bound to (1199/49090).
AccountType = Literal["standard", "traditional"]

# No vowels and no look-alikes are left out: the real ids use the whole alphabet.
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Committed:
    """All committed records by kind and id, and facts (counters). The seed decides the ids."""

    seed: str
    records: dict[type[Record], dict[str, Record]] = field(default_factory=dict[type[Record], dict[str, Record]])
    facts: dict[str, str] = field(default_factory=dict[str, str])


class Transaction:
    """What one request sees and changes: the store's records with its own changes laid over them.

    Nothing reaches the store before the commit, so a refused request leaves no trace, not even a used-up id.
    """

    def __init__(
        self,
        committed: Committed,
        region: str,
        now: float,
        timing: Timing,
        images: tuple[Image, ...],
        *,
        account: AccountType = "standard",
    ) -> None:
        self._committed = committed
        self.region = region
        self.now = now
        self.timing = timing
        self.images = images
        self.account: AccountType = account
        self.request_id = ""
        self.changes: dict[Key, Record | None] = {}
        self.facts: dict[str, str] = {}

    def in_region(self, region: str) -> Transaction:
        """The committed records as a request to another region would see them; for reading only."""
        return Transaction(self._committed, region, self.now, self.timing, self.images, account=self.account)

    def find(self, kind: type[R], record_id: str) -> R | None:
        """The record of that id in this region (or in none), or None."""
        record = self._look(kind, record_id)
        return record if record is not None and self._visible(record) else None

    def _look(self, kind: type[R], record_id: str) -> R | None:
        record = self.changes.get((kind, record_id), ...)
        if record is ...:
            record = self._committed.records.get(kind, {}).get(record_id)
        return record if isinstance(record, kind) else None

    def all(self, kind: type[R]) -> list[R]:
        """Every record of that kind in this region, oldest first."""
        return [record for record in self.everywhere(kind) if self._visible(record)]

    def everywhere(self, kind: type[R]) -> Iterator[R]:
        """Every record of that kind in all regions, oldest first."""
        committed = self._committed.records.get(kind, {})
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
        return self.facts.get(name, self._committed.facts.get(name, ""))

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
        digest = hashlib.sha256(f"{self._committed.seed}:{name}:{number}".encode()).digest()
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
