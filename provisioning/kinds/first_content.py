"""Directories that begin as a copy of another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Thing


@dataclass(frozen=True, slots=True)
class FirstContent(Thing):
    """A directory whose first content is a copy of `source`: made completely or not at all, and only once.

    The unit, which works on `source`, is stopped before the copy.
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
        return None if answer.get(self.path) else "is not there"

    def operation(self) -> dict[str, Any]:
        return {"path": self.path, "source": self.source, "unit": self.unit}
