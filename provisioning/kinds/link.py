"""Symbolic links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import After, Candidate, Thing, followed_by


@dataclass(frozen=True, slots=True)
class Link(Thing):
    """A symbolic link, replaced atomically."""

    path: str
    target: str
    after: tuple[After, ...] = ()

    @property
    def label(self) -> str:
        return self.path

    def question(self) -> str:
        return self.path

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        target = answer.get(self.path)
        if target is None:
            return "is not there"
        return None if target == self.target else f"points to {target or 'no link'}"

    def operation(self) -> dict[str, Any]:
        return {"path": self.path, "target": self.target}

    def candidates(self) -> Sequence[Candidate]:
        return (Candidate(self.path, target=self.target),)

    def followed_by(self) -> Sequence[str]:
        return followed_by(self.path, self.after)
