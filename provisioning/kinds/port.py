"""TCP ports that a service listens on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase


@dataclass(frozen=True, slots=True)
class Port(Item):
    """A TCP port on which a unit listens."""

    phase: ClassVar[Phase] = Phase.HEALTH

    unit: str
    address: str
    port: int

    @property
    def label(self) -> str:
        return f"port {self.port}"

    def operation(self) -> dict[str, Any]:
        return {"unit": self.unit, "address": self.address, "port": self.port}
