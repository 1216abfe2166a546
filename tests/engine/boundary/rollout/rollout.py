"""Stand-in for provisioning.rollout.rollout. The API has no instances behind its records.

Files in the project directory control its results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from provisioning.errors import GateError
from provisioning.inventory import Inventory
from provisioning.manifest import Manifest


@dataclass(frozen=True)
class RolloutResult:
    revision: str
    incomplete: tuple[str, ...] = ()


def roll_out(
    inventory: Inventory,
    manifests: Mapping[str, Manifest],
    secrets: Mapping[str, str],
    report: Callable[[str], None],
    *,
    unreachable: str,
) -> RolloutResult:
    assert secrets
    assert unreachable in {"stop", "skip"}
    report(f"rolling out to {', '.join(node.name for node in inventory.nodes)}")
    if Path("fail-rollout").exists():
        raise GateError("iam-b (10.0.4.21): does not serve", seen="502 Bad Gateway", look_at="/var/log/nginx/error.log")
    text = json.dumps({node: manifest.files() for node, manifest in sorted(manifests.items())})
    return RolloutResult(hashlib.sha256(text.encode()).hexdigest()[:12])
