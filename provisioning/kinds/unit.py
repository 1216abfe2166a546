"""systemd units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Thing


@dataclass(frozen=True, slots=True)
class Unit(Thing):
    """A systemd unit that is enabled and runs. What changes of its files asked for is done here."""

    name: str
    enabled: bool = True
    running: bool = True

    @property
    def label(self) -> str:
        return f"unit {self.name}"

    def question(self) -> str:
        return self.name

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        fact = answer.get(self.name)
        if not fact or not fact["loaded"]:
            return "is not there" if self.enabled or self.running else None
        return unit_difference(fact, enabled=self.enabled, running=self.running)

    def operation(self) -> dict[str, Any]:
        return {"name": self.name, "enabled": self.enabled, "running": self.running}

    def follows(self) -> Sequence[str]:
        return (self.name,)

    def units(self) -> Sequence[str]:
        return (self.name,) if self.running else ()


def unit_difference(fact: Mapping[str, Any], *, enabled: bool, running: bool) -> str | None:
    """Why a loaded unit is not as it should be."""
    if fact["enabled"] != enabled:
        return "is not enabled" if enabled else "is enabled"
    if fact["active"] != running:
        return "does not run" if running else "runs"
    return "has unit files that systemd has not read" if fact["needs_daemon_reload"] else None
