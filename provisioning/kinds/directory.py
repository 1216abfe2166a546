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
        return self.refusal(answer) or (owner_difference(self, fact) if fact else "missing")

    def refusal(self, answer: Mapping[str, Any]) -> str | None:
        """A link is not followed: its target may belong to another program."""
        fact = answer.get(self.path) or {}
        return f"must be a directory (is {fact['is']})" if "is" in fact else None

    def advice(self) -> str:
        return "move it away, or mount the other place there"

    def removal(self) -> dict[str, Any]:
        return {"path": self.path}

    def operation(self) -> dict[str, Any]:
        return owned(self)
