"""The distribution of the node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase
from settings.distributions import DISTRIBUTIONS


@dataclass(frozen=True, slots=True)
class OperatingSystem(Item):
    """The node runs this distribution. Another one is refused before any change."""

    phase: ClassVar[Phase] = Phase.CHECK

    name: str  # in DISTRIBUTIONS

    @property
    def label(self) -> str:
        return "distribution"

    def question(self) -> str:
        return self.name

    def refusal(self, answer: Mapping[str, Any]) -> str | None:
        wanted = DISTRIBUTIONS[self.name]
        found = find_distribution(answer["id"], answer["version"])
        if found == self.name:
            return None
        title = answer["title"] or "a system without /etc/os-release"
        if found is None:
            known = ", ".join(each.title for each in DISTRIBUTIONS.values())
            return f"must be one of {known} (is {title})"
        return f"must be {wanted.title}, as nodes.distribution says (is {title}: {found})"

    def advice(self) -> str:
        return "tandem:nodes.distribution and tandem:nodes.image; the settings follow the distribution of the image"

    def operation(self) -> dict[str, Any]:
        return {}


def find_distribution(os_id: str, version: str) -> str | None:
    """The name of the distribution with these values of ID and VERSION_ID in /etc/os-release."""
    for each in DISTRIBUTIONS.values():
        if each.os_id == os_id and each.version in {version, version.partition(".")[0]}:
            return each.name
    return None
