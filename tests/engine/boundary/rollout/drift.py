"""Stand-in for provisioning.rollout.drift. The API has no instances behind its records.

A file in the project directory controls its result.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from provisioning.inventory import Inventory
from provisioning.manifest import Manifest


def drift(inventory: Inventory, manifests: Mapping[str, Manifest], secrets: Mapping[str, str]) -> dict[str, list[str]]:
    assert inventory.nodes
    assert manifests
    assert secrets
    return {"iam-a": ["/etc/nginx/nginx.conf: worker_connections 1;"]} if Path("drifted").exists() else {}
