"""What the host keys' provider does, apart from it (see rollout_work)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.machine_data import to_host
from provisioning.host_keys import read_host_keys


def read(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Wait for the machine and read its keys. Returns the resource's outputs. Raises ProvisioningError."""
    bastion = inputs.get("bastion")
    keys = read_host_keys(
        to_host(inputs["machine"]), inputs["private_key"], bastion=to_host(bastion) if bastion else None
    )
    return {**inputs, "host_keys": list(keys)}
