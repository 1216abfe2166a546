"""Files and links that must not exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Candidate, Item, UnitAction, actions_after_change


@dataclass(frozen=True, slots=True)
class Absent(Item):
    """A file or link that must not exist."""

    path: str
    after: tuple[UnitAction, ...] = ()

    @property
    def label(self) -> str:
        return self.path

    def question(self) -> str:
        return self.path

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        return "must not exist" if answer.get(self.path) else None

    def refusal(self, answer: Mapping[str, Any]) -> str | None:
        return "must not exist (is a directory)" if answer.get(self.path) == "a directory" else None

    def advice(self) -> str:
        return "move it away; a directory with files of other programs is not deleted"

    def operation(self) -> dict[str, Any]:
        return {"path": self.path}

    def candidates(self) -> Sequence[Candidate]:
        return (Candidate(self.path),)

    def unit_actions(self) -> Sequence[str]:
        return actions_after_change(self.path, self.after)
