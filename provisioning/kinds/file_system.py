"""File systems on data disks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Phase, Thing


@dataclass(frozen=True, slots=True)
class FileSystem(Thing):
    """A disk that holds an ext4 file system, which is made only when the disk is blank.

    A disk that comes from another node brings its data. A disk that holds anything else is an error.
    """

    phase: ClassVar[Phase] = Phase.PREPARE

    device: str  # by id, so that no other disk can be meant

    @property
    def label(self) -> str:
        return f"disk {self.device}"

    def question(self) -> str:
        return self.device

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        held = answer.get(self.device, "")
        if held == "ext4":
            return None
        return f"holds {held}" if held else "is blank or not there yet"

    def operation(self) -> dict[str, Any]:
        return {"device": self.device}
