"""Checks that validate the candidates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase


@dataclass(frozen=True, slots=True)
class Check(Item):
    """A command that must accept the candidates before anything is changed.

    It runs in a private mount namespace in which copies with the candidates replace `directories`, so `nginx -t` reads
    the candidates at their final paths. It runs only if a path below `directories` would change.
    """

    phase: ClassVar[Phase] = Phase.CHECK

    name: str  # "nginx"
    command: tuple[str, ...]
    directories: tuple[str, ...]
    look_at: str = ""  # where the checked text is defined; shown with an error

    @property
    def label(self) -> str:
        return f"check {self.name}"

    def sees(self, paths: Collection[str]) -> bool:
        """Whether one of the paths is below `directories`."""
        below = tuple(directory.rstrip("/") + "/" for directory in self.directories)
        return any(path.startswith(below) for path in paths)

    def operation(self) -> dict[str, Any]:
        return {"name": self.name, "command": list(self.command), "directories": list(self.directories)}
