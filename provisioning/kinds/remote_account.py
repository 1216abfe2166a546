"""Accounts of a node on a MariaDB or MySQL server outside the group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item, Turn


@dataclass(frozen=True, slots=True)
class RemoteAccount(Item):
    """The account with which this node logs in, created with the account of an administrator of that server.

    Passwords may be placeholders.
    """

    server: str  # "HOST:PORT"
    user: str
    host: str  # the address of this node
    password: str
    database: str
    privileges: tuple[str, ...]
    administrator: str
    administrator_password: str

    @property
    def label(self) -> str:
        return f"account {self.user}@{self.host} on {self.server}"

    def question(self) -> dict[str, Any]:
        return self.operation()

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        return answer.get(self.user, {}).get("account", "not known") or None

    def refusal(self, answer: Mapping[str, Any]) -> str | None:
        seen = answer.get(self.user, {}).get("administrator")
        return f"{self.administrator} cannot create it: {seen}" if seen else None

    def advice(self) -> str:
        return "tandem:data.administrator and tandem:credentials.given.mariadbAdministratorPassword"

    def turn(self) -> Turn:
        return Turn.BEFORE_OTHERS

    def removal(self) -> dict[str, Any]:
        return {"server": self.server, "user": self.user, "host": self.host}

    def removal_secrets(self) -> dict[str, Any]:
        return {"administrator": self.administrator, "administrator_password": self.administrator_password}

    def operation(self) -> dict[str, Any]:
        return {
            **self.removal(), **self.removal_secrets(),
            "password": self.password, "database": self.database, "privileges": list(self.privileges),
        }  # fmt: skip
