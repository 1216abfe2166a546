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
    must_exist: bool = False  # refuse a target that the node does not have: nothing of the rollout creates it
    look_at: str = ""  # where to look if it does not

    @property
    def label(self) -> str:
        return self.path

    def question(self) -> dict[str, Any]:
        return {"path": self.path, "needs": self.target if self.must_exist else None}

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        fact = answer.get(self.path) or {}
        if "is" in fact:
            return f"must be a link (is {fact['is']})"
        if "target" not in fact:
            return "missing"
        return None if fact["target"] == self.target else f"target is {fact['target']}, must be {self.target}"

    def refusal(self, answer: Mapping[str, Any]) -> str | None:
        """A file is replaced; a directory is not deleted."""
        fact = answer.get(self.path) or {}
        if "lacks" in fact:
            return f"the target {fact['lacks']} does not exist"
        return self.compare(answer) if fact.get("is") == "a directory" else None

    def advice(self) -> str:
        return self.look_at or "move it away"

    def removal(self) -> dict[str, Any]:
        return {"path": self.path, "after": [str(action) for action in self.after]}

    def operation(self) -> dict[str, Any]:
        return {"path": self.path, "target": self.target}

    def candidates(self) -> Sequence[Candidate]:
        return (Candidate(self.path, target=self.target),)

    def unit_actions(self) -> Sequence[str]:
        return actions_after_change(self.path, self.after)
