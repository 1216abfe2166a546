"""Health gates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase


@dataclass(frozen=True, slots=True)
class Gate(Item):
    """A URL on the node that must return `status` before the rollout continues."""

    phase: ClassVar[Phase] = Phase.GATE

    name: str  # of the unit, "nginx"
    url: str  # http://10.0.4.20/healthz; tcp://10.0.4.20:9000: it only accepts connections
    status: int = 200
    deadline_s: int = 60

    @property
    def label(self) -> str:
        return f"gate {self.name}"

    def operation(self) -> dict[str, Any]:
        return {"unit": self.name, "url": self.url, "status": self.status, "deadline_s": self.deadline_s}
