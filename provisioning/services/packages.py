"""The packages of a node, by the names of Debian, for the package manager of its distribution."""

from __future__ import annotations

from provisioning.deployment import Deployment
from provisioning.kinds.base import Item
from provisioning.kinds.package import Package
from provisioning.kinds.rpm import Rpm


def packages(deployment: Deployment, *names: str) -> list[Item]:
    family = deployment.distribution.family
    if family.packages == "apt":
        return [Package(name) for name in names]
    renamed = dict.fromkeys(family.renamed.get(name, name) for name in names)
    return [Rpm(name, family.streams.get(name, "")) for name in renamed]
