"""Symbolic links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Candidate, Item, UnitAction, actions_after_change


@dataclass(frozen=True, slots=True)
class Link(Item):
    """A symbolic link, replaced atomically."""

    path: str
    target: str
    after: tuple[UnitAction, ...] = ()

    @property
    def label(self) -> str:
        return self.path

    def question(self) -> str:
        return self.path

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        target = answer.get(self.path)
        if target is None:
            return "missing"
        if target == self.target:
            return None
        return f"target is {target}, must be {self.target}" if target else "must be a link"

    def removal(self) -> dict[str, Any]:
        return {"path": self.path, "after": [str(action) for action in self.after]}

    def operation(self) -> dict[str, Any]:
        return {"path": self.path, "target": self.target}

    def candidates(self) -> Sequence[Candidate]:
        return (Candidate(self.path, target=self.target),)

    def unit_actions(self) -> Sequence[str]:
        return actions_after_change(self.path, self.after)
