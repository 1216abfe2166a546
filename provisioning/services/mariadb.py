"""Placeholder by provisioning so that the manifest can be imported: iam owns this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.deployment import Deployment, Machine
    from provisioning.desired import Thing


def desired(deployment: Deployment, machine: Machine) -> list[Thing]:
    del deployment, machine
    return []
