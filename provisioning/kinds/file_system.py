"""File systems on data disks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase


@dataclass(frozen=True, slots=True)
class FileSystem(Item):
    """A disk with an ext4 file system, which is created only on a blank disk.

    A disk that was attached to another node keeps its data. Any other content is an error.
    """

    phase: ClassVar[Phase] = Phase.PREPARE

    device: str  # by id, which identifies the disk uniquely

    @property
    def label(self) -> str:
        return f"disk {self.device}"

    def question(self) -> str:
        return self.device

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        content = answer.get(self.device)
        if content == "ext4":
            return None
        if content is None:
            return "not attached yet"
        return f"must be blank or ext4 (has {content})" if content else "blank"

    def refusal(self, answer: Mapping[str, Any]) -> str | None:
        content = answer.get(self.device, "")
        return None if content in ("", "ext4") else self.compare(answer)

    def operation(self) -> dict[str, Any]:
        return {"device": self.device}
