"""MariaDB accounts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item, Turn


@dataclass(frozen=True, slots=True)
class Account(Item):
    """A MariaDB account; `password` may be a placeholder."""

    user: str
    host: str
    password: str

    @property
    def label(self) -> str:
        return f"account {self.user}@{self.host}"

    def question(self) -> str:
        return f"{self.user}@{self.host}"

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        hashed = answer.get(f"{self.user}@{self.host}")
        if hashed is None:
            return "missing"
        return None if hashed.upper() == password_hash(self.password) else "password differs"

    def removal(self) -> dict[str, Any]:
        return {"user": self.user, "host": self.host}

    def turn(self) -> Turn:
        return Turn.BEFORE_OTHERS

    def operation(self) -> dict[str, Any]:
        return {"user": self.user, "host": self.host, "password_hash": password_hash(self.password)}


def password_hash(password: str) -> str:
    """The hash that mysql_native_password stores. SQL statements contain this instead of the password."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()  # noqa: S324 - MySQL's algorithm
