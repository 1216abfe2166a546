"""Names in /etc/hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase


@dataclass(frozen=True, slots=True)
class Hosts(Item):
    """A block of lines in /etc/hosts. All other lines are kept."""

    phase: ClassVar[Phase] = Phase.PREPARE

    lines: tuple[str, ...]  # "10.0.4.20 iam-a"

    @property
    def label(self) -> str:
        return "/etc/hosts"

    def question(self) -> str:
        return self.label

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        return None if answer.get(self.label) == list(self.lines) else "names of the group differ"

    def operation(self) -> dict[str, Any]:
        return {"lines": list(self.lines)}
