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
        fact = answer.get(self.path)
        if fact is None:
            return "missing"
        if "is" in fact:
            return f"must be a link (is {fact['is']})"
        return None if fact["target"] == self.target else f"target is {fact['target']}, must be {self.target}"

    def refusal(self, answer: Mapping[str, Any]) -> str | None:
        """A file is replaced; a directory is not deleted."""
        fact = answer.get(self.path) or {}
        return self.compare(answer) if fact.get("is") == "a directory" else None

    def advice(self) -> str:
        return "move it away"

    def removal(self) -> dict[str, Any]:
        return {"path": self.path, "after": [str(action) for action in self.after]}

    def operation(self) -> dict[str, Any]:
        return {"path": self.path, "target": self.target}

    def candidates(self) -> Sequence[Candidate]:
        return (Candidate(self.path, target=self.target),)

    def unit_actions(self) -> Sequence[str]:
        return actions_after_change(self.path, self.after)
