"""MariaDB privileges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item, Turn


@dataclass(frozen=True, slots=True)
class Grant(Item):
    """The exact privileges of an account on one database."""

    user: str
    host: str
    database: str
    privileges: tuple[str, ...] = ("ALL PRIVILEGES",)  # for example ("SELECT", "INSERT")

    @property
    def label(self) -> str:
        return f"grant of {self.user}@{self.host} on {self.database}"

    def question(self) -> dict[str, str]:
        return {"user": self.user, "host": self.host}

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        granted = answer.get(f"{self.user}@{self.host}", {}).get(self.database, ())
        if set(granted) == set(self.privileges):
            return None
        return f"privileges are {', '.join(granted) or 'none'}, must be {', '.join(self.privileges)}"

    def removal(self) -> dict[str, Any]:
        return {"user": self.user, "host": self.host, "database": self.database}

    def turn(self) -> Turn:
        return Turn.BEFORE_OTHERS

    def operation(self) -> dict[str, Any]:
        account = {"user": self.user, "host": self.host}
        return {**account, "database": self.database, "privileges": list(self.privileges)}
