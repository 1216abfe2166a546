"""SQL statements that run only if a condition does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item, Turn


@dataclass(frozen=True, slots=True)
class Query(Item):
    """An SQL statement that runs unless `unless` (a SELECT) returns a row. Both may contain placeholders.

    It runs as root on the node, or with `user` and `password` on `server`. A login there that fails is a refusal.
    """

    name: str  # the result: "the administrator's account"
    database: str
    statement: str
    unless: str
    server: str = ""  # "HOST:PORT"
    user: str = ""
    password: str = ""

    @property
    def label(self) -> str:
        return f"query {self.name}"

    def question(self) -> dict[str, str]:
        return {"name": self.name, "database": self.database, "unless": self.unless, **self._login()}

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        return None if answer.get(self.name) is True else "must be applied"

    def refusal(self, answer: Mapping[str, Any]) -> str | None:
        seen = answer.get(self.name)
        return f"{self.user} cannot use it on {self.server}: {seen}" if isinstance(seen, str) else None

    def turn(self) -> Turn:
        return Turn.BEFORE_OTHERS

    def operation(self) -> dict[str, Any]:
        return {"name": self.name, "database": self.database, "statement": self.statement, **self._login()}

    def _login(self) -> dict[str, str]:
        return {"server": self.server, "user": self.user, "password": self.password}
