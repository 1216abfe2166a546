"""Archives of files, such as a release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Phase, Thing


@dataclass(frozen=True, slots=True)
class Archive(Thing):
    """A .tar.gz from the operator's side, unpacked at `path`, completely or not at all.

    `path` identifies the content (/opt/iam/<first 12 of its sha256>): a new release lies beside the old one.
    """

    phase: ClassVar[Phase] = Phase.PREPARE

    source: str  # a file on the operator's side
    sha256: str  # of that file, in hex
    path: str

    @property
    def label(self) -> str:
        return self.path

    def question(self) -> str:
        return self.path

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        return None if answer.get(self.path) else "is not there"

    def operation(self) -> dict[str, Any]:
        """The archive itself is sent before the lock is taken (rollout.py); this makes sure that it arrived."""
        return {"path": self.path}
