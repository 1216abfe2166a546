"""Tables of a MariaDB database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase


@dataclass(frozen=True, slots=True)
class Tables(Item):
    """Every table that the schema creates must exist: services answer from their caches after the loss of one."""

    phase: ClassVar[Phase] = Phase.HEALTH

    database: str
    schema: str  # a file on the node

    @property
    def label(self) -> str:
        return f"tables of {self.database}"

    def operation(self) -> dict[str, Any]:
        return {"database": self.database, "schema": self.schema}
