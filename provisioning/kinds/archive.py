"""Archives of files, such as a release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase, UnitAction


@dataclass(frozen=True, slots=True)
class Archive(Item):
    """A .tar.gz from the operator's side, unpacked atomically at `path`.

    `path` identifies the content (/opt/iam/<first 12 digits of its SHA-256>), so releases are kept next to each other.
    """

    phase: ClassVar[Phase] = Phase.PREPARE

    source: str  # a file on the operator's side
    sha256: str  # of the file, in hexadecimal
    path: str
    after: tuple[UnitAction, ...] = ()  # after files were changed on the node, and replaced

    @property
    def label(self) -> str:
        return self.path

    def question(self) -> str:
        return self.path

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        changed = answer.get(self.path)
        if changed is None:
            return "missing"
        return f"{', '.join(changed[:5])} changed on the node" if changed else None

    def removal(self) -> dict[str, Any]:
        """The directory of all archives, which are deleted together: without the item nothing uses one of them."""
        return {"path": self.path.rpartition("/")[0]}

    def operation(self) -> dict[str, Any]:
        """Activate the archive; it is sent before the lock is taken (rollout.py)."""
        return {"path": self.path, "after": [str(action) for action in self.after]}
