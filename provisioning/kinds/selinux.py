"""SELinux on distributions of the RHEL family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase


@dataclass(frozen=True, slots=True)
class Selinux(Item):
    """Domains that SELinux reports on but does not confine, if it is in use: as unconfined as on Debian."""

    phase: ClassVar[Phase] = Phase.PREPARE

    permissive: tuple[str, ...]

    @property
    def label(self) -> str:
        return "SELinux"

    def question(self) -> list[str]:
        return list(self.permissive)

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        missing = [each for each in self.permissive if each not in answer["permissive"]]
        return f"confines {', '.join(missing)}" if answer["enabled"] and missing else None

    def operation(self) -> dict[str, Any]:
        return {"permissive": list(self.permissive)}
