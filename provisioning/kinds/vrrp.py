"""The VRRP settings that all eligible nodes must share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item


@dataclass(frozen=True, slots=True)
class Vrrp(Item):
    """The settings without which two nodes do not understand each other's VRRP packets, and both become master.

    The node records their digest after keepalived has read them, so this item follows all others in `together`.
    """

    values: str  # may contain placeholders; "" on a node without keepalived
    together: tuple[str, ...] = ()  # the labels of the items that are committed with this one
    preferred: tuple[str, ...] = ()  # the virtual IPs that this node gets back from a healthy peer

    @property
    def label(self) -> str:
        return "VRRP settings"

    def question(self) -> str:
        return "digest"

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        recorded = answer.get("digest", "")
        if recorded == self._digest():
            return None
        return "differ" if recorded else "not recorded"

    def _digest(self) -> str:
        return hashlib.sha256(self.values.encode()).hexdigest() if self.values else ""

    def operation(self) -> dict[str, Any]:
        return {"digest": self._digest()}
