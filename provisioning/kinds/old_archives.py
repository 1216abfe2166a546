"""Deletes old archives, such as previous releases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from provisioning.kinds.base import Item


@dataclass(frozen=True, slots=True)
class OldArchives(Item):
    """Keeps the archive at `current` and the `keep` archives beside it that were current last; deletes the others.

    Also deletes what killed transfers left, after an hour. Comes after the units that use the archive, so that a
    rollback finds the previous one.
    """

    current: str
    keep: int

    @property
    def label(self) -> str:
        return f"old archives in {PurePosixPath(self.current).parent}"

    def question(self) -> str:
        return self.current

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        """`answer` has the names of all archives, the last one that was current first, and of leftovers."""
        fact = answer.get(self.current)
        name = PurePosixPath(self.current).name
        if not fact or name not in fact["archives"]:
            return None  # compared again after the archive has been received
        old = [each for each in fact["archives"] if each != name][self.keep :]
        if old or fact["leftovers"]:
            return f"{', '.join([*old, *fact['leftovers']])} must be deleted"
        return None if fact["archives"][0] == name else "must be marked as current"

    def operation(self) -> dict[str, Any]:
        return {"current": self.current, "keep": self.keep}
