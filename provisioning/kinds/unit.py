"""systemd units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item, Turn

CRASHES = "crashes repeatedly"


@dataclass(frozen=True, slots=True)
class Unit(Item):
    """A systemd unit that is enabled and runs. Pending reloads and restarts of the unit are performed here."""

    name: str
    enabled: bool = True
    running: bool = True
    others_need: bool = False  # services on other nodes need it

    @property
    def label(self) -> str:
        return f"unit {self.name}"

    def question(self) -> str:
        return self.name

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        fact = answer.get(self.name)
        if not fact or not fact["loaded"]:
            return "missing" if self.enabled or self.running else None
        return unit_difference(fact, enabled=self.enabled, running=self.running)

    def removal(self) -> dict[str, Any] | None:
        """Tandem started it; a unit that is stopped anyway is not recorded."""
        return {"name": self.name} if self.running else None

    def turn(self) -> Turn:
        if not self.running:
            return Turn.AFTER_ALL
        return Turn.BEFORE_OTHERS if self.others_need else Turn.IN_ORDER

    def operation(self) -> dict[str, Any]:
        return {"name": self.name, "enabled": self.enabled, "running": self.running}

    def follows(self) -> Sequence[str]:
        return (self.name,)

    def units(self) -> Sequence[str]:
        return (self.name,) if self.running else ()


def unit_difference(fact: Mapping[str, Any], *, enabled: bool, running: bool) -> str | None:
    """The difference between a loaded unit and the requested state, or None."""
    if fact["enabled"] != enabled:
        return "not enabled" if enabled else "must be disabled"
    if fact["active"] != running:
        return f"not running{fact.get('drop_ins', '')}" if running else "must be stopped"
    if running and fact["crashes"]:
        times = f"{fact['crashes']} time" + ("" if fact["crashes"] == 1 else "s")
        return f"{CRASHES} (restarted {times}){fact.get('drop_ins', '')}"
    return "unit files changed; daemon-reload required" if fact["needs_daemon_reload"] else None
