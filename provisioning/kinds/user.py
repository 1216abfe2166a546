"""System users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase


@dataclass(frozen=True, slots=True)
class User(Item):
    """A system user without a password, and a group of the same name."""

    phase: ClassVar[Phase] = Phase.PREPARE

    name: str
    home: str = "/nonexistent"
    shell: str = "/usr/sbin/nologin"

    @property
    def label(self) -> str:
        return f"user {self.name}"

    def question(self) -> str:
        return self.name

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        fact = answer.get(self.name)
        if not fact:
            return "missing"
        requested = {"home": self.home, "shell": self.shell}
        differ = [f"{key} is {fact[key]}, must be {value}" for key, value in requested.items() if fact[key] != value]
        return "; ".join(differ) or None

    def removal(self) -> dict[str, Any]:
        return {"name": self.name}

    def operation(self) -> dict[str, Any]:
        return {"name": self.name, "home": self.home, "shell": self.shell}
