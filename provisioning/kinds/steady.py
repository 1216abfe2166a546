"""Units that must keep running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase


@dataclass(frozen=True, slots=True)
class Steady(Item):
    """A unit that must have run for `run_s` without a restart: the gate of a service that has no port."""

    phase: ClassVar[Phase] = Phase.GATE

    name: str
    run_s: int
    deadline_s: int = 60

    @property
    def label(self) -> str:
        return f"gate {self.name}"

    def operation(self) -> dict[str, Any]:
        return {"unit": self.name, "run_s": self.run_s, "deadline_s": self.deadline_s}
