"""Text files."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Candidate, Item, UnitAction, actions_after_change, owned, owner_difference


@dataclass(frozen=True, slots=True)
class File(Item):
    """A text file; `text` may contain `@@secret:NAME@@`."""

    path: str
    text: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    after: tuple[UnitAction, ...] = ()

    @property
    def label(self) -> str:
        return self.path

    def question(self) -> dict[str, str]:
        return {"path": self.path, "sha256": text_sha256(self.text)}

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        fact = answer.get(self.path)
        if not fact:
            return "missing"
        if "is" in fact:
            return f"must be a file (is {fact['is']})"
        return "content differs" if self._differs(fact) else owner_difference(self, fact)

    def refusal(self, answer: Mapping[str, Any]) -> str | None:
        """A link is replaced; a directory or a special file is not deleted."""
        fact = answer.get(self.path) or {}
        return self.compare(answer) if "is" in fact and not fact["is"].startswith("a symbolic link") else None

    def advice(self) -> str:
        return "move it away"

    def _differs(self, fact: Mapping[str, Any]) -> bool:
        return fact.get("sha256") != text_sha256(self.text)

    def changed_lines(self, answer: Mapping[str, Any]) -> list[str]:
        fact = answer.get(self.path)
        if not fact or not self._differs(fact) or "text" not in fact:
            return []
        diff = difflib.unified_diff(fact["text"].splitlines(), self.text.splitlines(), lineterm="", n=0)
        return [line for line in diff if line[:3] not in ("---", "+++") and not line.startswith("@@")]

    def removal(self) -> dict[str, Any]:
        return {"path": self.path, "after": [str(action) for action in self.after]}

    def operation(self) -> dict[str, Any]:
        return owned(self)

    def candidates(self) -> Sequence[Candidate]:
        return (Candidate(self.path, text=self.text, owner=self.owner, group=self.group, mode=self.mode),)

    def unit_actions(self) -> Sequence[str]:
        return actions_after_change(self.path, self.after)

    def to_data(self) -> dict[str, Any]:
        """Without the text, which is in `Manifest.files`: a preview then shows a changed line once."""
        data = Item.to_data(self)
        del data["text"]
        return data


def text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
