"""Directories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase, owned, owner_difference


@dataclass(frozen=True, slots=True)
class Directory(Item):
    phase: ClassVar[Phase] = Phase.PREPARE

    path: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o755

    @property
    def label(self) -> str:
        return self.path

    def question(self) -> str:
        return self.path

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        fact = answer.get(self.path)
        return owner_difference(self, fact) if fact else "missing"

    def removal(self) -> dict[str, Any]:
        return {"path": self.path}

    def operation(self) -> dict[str, Any]:
        return owned(self)
