"""MariaDB privileges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Thing


@dataclass(frozen=True, slots=True)
class Grant(Thing):
    """The privileges of an account on one database, no more and no fewer."""

    user: str
    host: str
    database: str
    privileges: tuple[str, ...] = ("ALL PRIVILEGES",)  # e.g. ("SELECT", "INSERT")

    @property
    def label(self) -> str:
        return f"grant of {self.user}@{self.host} on {self.database}"

    def question(self) -> dict[str, str]:
        return {"user": self.user, "host": self.host}

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        rights = answer.get(f"{self.user}@{self.host}", {}).get(self.database, ())
        return None if set(rights) == set(self.privileges) else f"has {', '.join(rights) or 'no rights'}"

    def operation(self) -> dict[str, Any]:
        who = {"user": self.user, "host": self.host}
        return {**who, "database": self.database, "privileges": list(self.privileges)}
