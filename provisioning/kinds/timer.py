"""systemd timers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Candidate, Item, actions_after_change, owned, owner_difference, restart
from provisioning.kinds.file import text_sha256
from provisioning.kinds.unit import unit_difference


@dataclass(frozen=True, slots=True)
class Timer(Item):
    """A systemd timer that starts the service of the same name at a fixed interval or at calendar times."""

    name: str  # "iam-refresh": starts iam-refresh.service
    description: str
    interval_s: int = 0
    random_delay_s: int = 0  # maximum delay, so that nodes do not start the service simultaneously
    calendar: str = ""  # instead of an interval: systemd.time(7), "*-*-* 02:00:00 UTC"
    persistent: bool = True  # with a calendar: a time at which the node was off is made up for

    @property
    def unit(self) -> str:
        return f"{self.name}.timer"

    @property
    def text(self) -> str:
        lines = ["[Unit]", f"Description={self.description}", "", "[Timer]"]
        if self.calendar:
            lines += [f"OnCalendar={self.calendar}", f"Persistent={'true' if self.persistent else 'false'}"]
        else:
            lines += [f"OnActiveSec={self.interval_s}", f"OnUnitActiveSec={self.interval_s}", "AccuracySec=1"]
        lines += [f"RandomizedDelaySec={self.random_delay_s}"] if self.random_delay_s else []
        return "\n".join([*lines, "", "[Install]", "WantedBy=timers.target", ""])

    @property
    def label(self) -> str:
        return f"timer {self.name}"

    def question(self) -> str:
        return self.unit

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        fact = answer.get(self.unit)
        if not fact or not (fact["sha256"] or fact["is"]):
            return "missing"
        if "is" in fact:
            return f"must be a file (is {fact['is']})"
        if fact["sha256"] != text_sha256(self.text):
            return "schedule differs"
        return owner_difference(self._candidate(), fact) or unit_difference(fact, enabled=True, running=True)

    def refusal(self, answer: Mapping[str, Any]) -> str | None:
        fact = answer.get(self.unit) or {}
        return self.compare(answer) if fact.get("is") == "a directory" else None

    def removal(self) -> dict[str, Any]:
        return {"unit": self.unit, "path": self._candidate().path}

    def operation(self) -> dict[str, Any]:
        return {**owned(self._candidate()), "unit": self.unit}

    def _candidate(self) -> Candidate:
        return Candidate(f"/etc/systemd/system/{self.unit}", text=self.text)

    def candidates(self) -> Sequence[Candidate]:
        return (self._candidate(),)

    def unit_actions(self) -> Sequence[str]:
        return actions_after_change(self._candidate().path, (restart(self.unit),))

    def follows(self) -> Sequence[str]:
        return (self.unit,)

    def units(self) -> Sequence[str]:
        return (self.unit,)
