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
        return self.refusal(answer) or (None if answer.get(self.path) else "missing")

    def refusal(self, answer: Mapping[str, Any]) -> str | None:
        found = answer.get(self.path) or ""
        is_usable = found in ("", "a directory") or (found.startswith("a symbolic link") and "does not" not in found)
        return None if is_usable else f"must be a directory (is {found})"

    def advice(self) -> str:
        return "restore the target of the link, or move the path away"

    def operation(self) -> dict[str, Any]:
        return {"path": self.path, "source": self.source, "unit": self.unit}
