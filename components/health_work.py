"""What the health resource's provider does, apart from it (see rollout_work)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provisioning import health

if TYPE_CHECKING:
    from collections.abc import Mapping


def check(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Ask through every public address. Returns the resource's outputs. Raises HealthError."""
    health.check(tuple(inputs["public_ips"]), inputs["domains"], inputs["ca_certificate"])
    return dict(inputs)
