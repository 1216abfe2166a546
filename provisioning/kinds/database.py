"""MariaDB databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item, Turn

# Comments of an empty database, and of one whose load was interrupted.
_SCHEMA_MISSING = ("", "schema loading by tandem")


@dataclass(frozen=True, slots=True)
class Database(Item):
    """A MariaDB database and its schema.

    `schema` is a file on the node, for example in the release, and is loaded once. It must be idempotent
    (CREATE ... IF NOT EXISTS), since an interrupted load is repeated.
    """

    name: str
    schema: str = ""

    @property
    def label(self) -> str:
        return f"database {self.name}"

    def question(self) -> str:
        return self.name

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        """While MariaDB is not running there are no facts: the database is planned, and its operation is idempotent."""
        if self.name not in answer:
            return "missing"
        return "schema is incomplete" if self.schema and answer[self.name] in _SCHEMA_MISSING else None

    def turn(self) -> Turn:
        return Turn.BEFORE_OTHERS

    def operation(self) -> dict[str, Any]:
        return {"name": self.name, "schema": self.schema}
