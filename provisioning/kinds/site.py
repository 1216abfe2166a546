"""Public host names that nginx serves with a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase


@dataclass(frozen=True, slots=True)
class Site(Item):
    """A domain that nginx on this node serves with the deployed certificate.

    Not a gate: a rollout that repairs the services behind nginx must not depend on them.
    """

    phase: ClassVar[Phase] = Phase.HEALTH

    domain: str
    address: str  # of nginx on the node
    certificate: str  # path on the node
    path: str = "/healthz"  # must be answered with 200; "": any answer but an error of the server

    @property
    def label(self) -> str:
        return f"site {self.domain}"

    def operation(self) -> dict[str, Any]:
        return {"domain": self.domain, "address": self.address, "certificate": self.certificate, "path": self.path}
