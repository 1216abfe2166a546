"""Databases that must be reachable from the node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from provisioning.kinds.base import Item, Phase


@dataclass(frozen=True, slots=True)
class Endpoint(Item):
    """A database that accepts this node's login. `password` and `url` may contain placeholders."""

    phase: ClassVar[Phase] = Phase.HEALTH

    protocol: Literal["mariadb", "redis", "mongodb"]
    host: str
    port: int
    user: str = ""
    password: str = ""
    look_at: str = ""
    url: str = ""  # of MongoDB, with the login

    @property
    def label(self) -> str:
        return f"{self.protocol} at {self.host}:{self.port}"

    def operation(self) -> dict[str, Any]:
        login = {"user": self.user, "password": self.password, "url": self.url}
        return {"protocol": self.protocol, "host": self.host, "port": self.port, "look_at": self.look_at, **login}
