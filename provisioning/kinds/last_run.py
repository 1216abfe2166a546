"""The last run of a scheduled command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase


@dataclass(frozen=True, slots=True)
class LastRun(Item):
    """A command that a timer starts. Its last run on the node, if there was one, must have succeeded."""

    phase: ClassVar[Phase] = Phase.HEALTH

    name: str

    @property
    def label(self) -> str:
        return f"last run of {self.name}"

    def operation(self) -> dict[str, Any]:
        return {"unit": self.name}
