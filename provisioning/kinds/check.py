"""Checks of the candidates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Phase, Thing


@dataclass(frozen=True, slots=True)
class Check(Thing):
    """A command that must accept the candidates before anything is changed.

    It runs with the candidates at their final paths, in a private mount namespace where `directories` are replaced by
    copies that hold them: `nginx -t` reads /etc/nginx as it will be. It runs only when something below `directories`
    would change.
    """

    phase: ClassVar[Phase] = Phase.CHECK

    name: str  # "nginx"
    command: tuple[str, ...]
    directories: tuple[str, ...]
    look_at: str = ""  # where the text comes from, for whoever reads the error

    @property
    def label(self) -> str:
        return f"check {self.name}"

    def sees(self, paths: Collection[str]) -> bool:
        """Whether one of these paths is below its directories."""
        below = tuple(directory.rstrip("/") + "/" for directory in self.directories)
        return any(path.startswith(below) for path in paths)

    def operation(self) -> dict[str, Any]:
        return {"name": self.name, "command": list(self.command), "directories": list(self.directories)}
