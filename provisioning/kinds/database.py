"""MariaDB databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Thing

# Comments of a database that is empty, and of one whose load was cut off.
_SCHEMA_MISSING = ("", "schema loading by tandem")


@dataclass(frozen=True, slots=True)
class Database(Thing):
    """A MariaDB database and its schema.

    `schema` is a file on the node (in the release, for example) and is loaded once. It must be repeatable
    (CREATE ... IF NOT EXISTS), since a load that is cut off half-way is repeated.
    """

    name: str
    schema: str = ""

    @property
    def label(self) -> str:
        return f"database {self.name}"

    def question(self) -> str:
        return self.name

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        """MariaDB that does not run gives no answer: then everything is planned, and the operations are idempotent."""
        if self.name not in answer:
            return "is not there"
        return "has no complete schema" if self.schema and answer[self.name] in _SCHEMA_MISSING else None

    def operation(self) -> dict[str, Any]:
        return {"name": self.name, "schema": self.schema}
