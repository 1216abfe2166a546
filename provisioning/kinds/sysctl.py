"""Kernel settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item


@dataclass(frozen=True, slots=True)
class Sysctl(Item):
    """A kernel setting: the current value, and the value that is set at boot."""

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
            return "not set at boot"
        now, required = fact["now"], " ".join(self.value.split())
        return None if now == required else f"value is {now}, must be {required}"

    def operation(self) -> dict[str, Any]:
        return {"key": self.key, "value": self.value}
