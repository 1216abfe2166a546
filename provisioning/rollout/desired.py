"""The desired items of each node: the manifests with the values of secrets, and those of the bastion."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence

from provisioning import placeholders
from provisioning.errors import ProvisioningError
from provisioning.inventory import Inventory
from provisioning.kinds.base import Item
from provisioning.manifest import Manifest


def with_bastion(inventory: Inventory, manifests: Mapping[str, Manifest]) -> tuple[Inventory, Mapping[str, Manifest]]:
    """Add the bastion as a node. It runs no services, but its SSH server is managed too."""
    bastion = inventory.bastion
    if bastion is None:
        return inventory, manifests
    nodes = (*inventory.nodes, dataclasses.replace(bastion, eligible=False))
    return dataclasses.replace(inventory, nodes=nodes), {bastion.name: Manifest(bastion.name, ()), **manifests}


def replace_secrets(
    inventory: Inventory, manifests: Mapping[str, Manifest], secrets: Mapping[str, str]
) -> dict[str, tuple[Item, ...]]:
    missing = [node.name for node in inventory.nodes if node.name not in manifests]
    if missing:
        raise ProvisioningError(f"{', '.join(missing)}: the node has no manifest", look_at="this is a bug of Tandem")
    host_keys = {placeholders.host_key(node.name): node.host_keys[0] for node in inventory.nodes if node.host_keys}
    secrets = {**secrets, **host_keys}
    return {
        node.name: tuple(item.with_secrets(secrets, node.name) for item in manifests[node.name].items)
        for node in inventory.nodes
    }


def revision_of(desired: Mapping[str, Sequence[Item]]) -> str:
    data = {
        name: [[type(item).__name__, dataclasses.asdict(item)] for item in items] for name, items in desired.items()
    }
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
