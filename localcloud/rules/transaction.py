"""The view that one request has of the records: the committed records and the uncommitted changes of the request."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from localcloud.rules.catalog import Image
from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal
from localcloud.rules.timing import Timing

R = TypeVar("R", bound=Record)
Key = tuple[type[Record], str]

# Bandwidth is billed to the EIP (standard) or to the instance to which it is bound (traditional) (1199/49090).
AccountType = Literal["standard", "traditional"]

# Real IDs use all letters and digits.
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Committed:
    """All committed records by kind and ID, and facts (counters). The seed determines the IDs."""

    seed: str
    records: dict[type[Record], dict[str, Record]] = field(default_factory=dict[type[Record], dict[str, Record]])
    facts: dict[str, str] = field(default_factory=dict[str, str])


class Transaction:
    """The committed records with the uncommitted changes of one request.

    The store is unchanged until the commit, so a refused request has no effect and does not use up IDs.
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
        """Return a read-only view of the committed records for another region."""
        return Transaction(self._committed, region, self.now, self.timing, self.images, account=self.account)

    def find(self, kind: type[R], record_id: str) -> R | None:
        """Return the record with that ID in this region or without a region, or None."""
        record = self._look(kind, record_id)
        return record if record is not None and self._visible(record) else None

    def get(self, kind: type[R], record_id: str, missing: type[Refusal]) -> R:
        """Return the record with that ID. Raises: the given refusal if it does not exist."""
        found = self.find(kind, record_id)
        if found is None:
            raise missing(got=record_id)
        return found

    def _look(self, kind: type[R], record_id: str) -> R | None:
        record = self.changes.get((kind, record_id), ...)
        if record is ...:
            record = self._committed.records.get(kind, {}).get(record_id)
        return record if isinstance(record, kind) else None

    def all(self, kind: type[R]) -> list[R]:
        """Return all records of that kind in this region, oldest first."""
        return [record for record in self.everywhere(kind) if self._visible(record)]

    def everywhere(self, kind: type[R]) -> Iterator[R]:
        """Yield all records of that kind in all regions, oldest first."""
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
        self.changes[type(record), record.id] = record
        return record

    def delete(self, record: Record) -> None:
        self.changes[type(record), record.id] = None

    def fact(self, name: str) -> str:
        """Return a stored fact, or "" if it does not exist."""
        return self.facts.get(name, self._committed.facts.get(name, ""))

    def count(self, name: str) -> int:
        """Return the next number of a counter, starting at 1."""
        number = int(self.fact(f"count:{name}") or 0) + 1
        self.facts[f"count:{name}"] = str(number)
        return number

    def new_id(self, prefix: str) -> str:
        """Return a new ID such as `vpc-8dwg2a5q`, determined by the seed and the number of IDs assigned before."""
        return f"{prefix}-{self.scramble(prefix, self.count(prefix))}"

    def scramble(self, name: str, number: int, length: int = 8) -> str:
        """Return pseudorandom letters and digits, determined by the seed, the name and the number."""
        digest = hashlib.sha256(f"{self._committed.seed}:{name}:{number}".encode()).digest()
        value = int.from_bytes(digest)
        letters: list[str] = []
        for _ in range(length):
            value, index = divmod(value, len(_ALPHABET))
            letters.append(_ALPHABET[index])
        return "".join(letters)

    @property
    def affects_network_plan(self) -> bool:
        """Whether a changed record affects the network plan."""
        return any(kind.affects_network_plan for kind, _ in self.changes)
