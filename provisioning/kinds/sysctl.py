"""Kernel settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Thing


@dataclass(frozen=True, slots=True)
class Sysctl(Thing):
    """A kernel setting, now and after each boot."""

    key: str  # net.ipv4.ip_nonlocal_bind
    value: str

    @property
    def label(self) -> str:
        return f"sysctl {self.key}"

    def question(self) -> str:
        return self.key

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        fact = answer.get(self.key, {"now": "", "boot": ""})
        if fact["boot"] != f"{self.key} = {self.value}":
            return "is not set at boot"
        return None if fact["now"] == " ".join(self.value.split()) else f"is {fact['now']}"

    def operation(self) -> dict[str, Any]:
        return {"key": self.key, "value": self.value}
