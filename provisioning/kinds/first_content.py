"""Directories whose initial content is a copy of another directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item


@dataclass(frozen=True, slots=True)
class FirstContent(Item):
    """A directory whose initial content is a copy of `source`, created once and atomically.

    `unit`, which uses `source`, is stopped before the copy.
    """

    path: str
    source: str
    unit: str

    @property
    def label(self) -> str:
        return self.path

    def question(self) -> str:
        return self.path

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        return None if answer.get(self.path) else "missing"

    def operation(self) -> dict[str, Any]:
        return {"path": self.path, "source": self.source, "unit": self.unit}
