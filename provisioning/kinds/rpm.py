"""RPM packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase


@dataclass(frozen=True, slots=True)
class Rpm(Item):
    """A package of the RHEL family, installed by dnf. The installation does not start its services."""

    phase: ClassVar[Phase] = Phase.INSTALL

    name: str
    stream: str = ""  # the module stream that has it: "nginx:1.18"

    @property
    def label(self) -> str:
        return f"package {self.name}"

    def question(self) -> str:
        return self.name

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        return None if self.name in answer else "not installed"

    def operation(self) -> dict[str, Any]:
        return {"name": self.name, "stream": self.stream}
