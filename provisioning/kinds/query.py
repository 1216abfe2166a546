"""SQL statements that run only if a condition does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item, Turn


@dataclass(frozen=True, slots=True)
class Query(Item):
    """An SQL statement that runs unless `unless` (a SELECT) returns a row. Both may contain placeholders."""

    name: str  # the result: "the administrator's account"
    database: str
    statement: str
    unless: str

    @property
    def label(self) -> str:
        return f"query {self.name}"

    def question(self) -> dict[str, str]:
        return {"name": self.name, "database": self.database, "unless": self.unless}

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        return None if answer.get(self.name) else "must be applied"

    def turn(self) -> Turn:
        return Turn.BEFORE_OTHERS

    def operation(self) -> dict[str, Any]:
        return {"name": self.name, "database": self.database, "statement": self.statement}
