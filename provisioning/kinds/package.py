"""Debian packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase

INTERRUPTED = "interrupted installation"  # as in the agent's module


@dataclass(frozen=True, slots=True)
class Package(Item):
    """A Debian package. The installation does not start its services."""

    phase: ClassVar[Phase] = Phase.INSTALL

    name: str

    @property
    def label(self) -> str:
        return f"package {self.name}"

    def question(self) -> str:
        return self.name

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        if self.name not in answer:
            return "not installed"
        return "its installation was interrupted" if INTERRUPTED in answer else None

    def operation(self) -> dict[str, Any]:
        return {"name": self.name}
