"""A manifest: the desired state of one node, rendered and in the order of application."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.deployment import BASTION, Deployment, Node
from provisioning.kinds import KINDS
from provisioning.kinds.base import Item
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.services import (
    app,
    backup,
    base,
    content,
    data_disk,
    firewall,
    iam,
    keepalived,
    mariadb,
    nginx,
    notifications,
    redis,
    system,
    unit_files,
)  # fmt: skip

# Each service follows those that it depends on. Units to stop come last.
_SERVICES = (
    base.desired, system.desired, firewall.desired, data_disk.desired, backup.desired, mariadb.desired, redis.desired,
    iam.desired, notifications.desired, app.desired, content.desired, nginx.desired, keepalived.desired,
    data_disk.desired_after_move,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Manifest:
    node: str
    items: tuple[Item, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for path in (candidate.path for item in self.items for candidate in item.candidates()):
            if path in seen:
                raise ValueError(f"{self.node}: a path must belong to one item only (got two for {path})")
            seen.add(path)

    def files(self) -> dict[str, str]:
        """The text of each file by its path, with placeholders. A preview shows these texts line by line."""
        return {item.path: item.text for item in self.items if isinstance(item, File)}

    def to_data(self) -> list[dict[str, Any]]:
        """The items as JSON data, without default values and without the texts in `files`."""
        return [item.to_data() for item in self.items]

    @classmethod
    def from_data(cls, node: str, data: list[dict[str, Any]], files: Mapping[str, str]) -> Manifest:
        """The inverse of `to_data` and `files`."""
        return cls(node, tuple(_parse_item(entry, files) for entry in data))


def _parse_item(data: Mapping[str, Any], files: Mapping[str, str]) -> Item:
    kind = KINDS[data["kind"]]
    return kind.from_data({**data, "text": files[data["path"]]} if kind is File else data)


def render(deployment: Deployment) -> dict[str, Manifest]:
    """The manifest of each node, and of the bastion, by its name. Pure."""
    manifests = {node.name: _render_node(deployment, node) for node in deployment.nodes}
    if deployment.bastion:
        manifests[BASTION] = Manifest(BASTION, tuple(base.access(deployment)))
    return manifests


def _render_node(deployment: Deployment, node: Node) -> Manifest:
    items = [item for desired_of in _SERVICES for item in desired_of(deployment, node)]
    # The agent stops these units, in reverse order, before the node's disks are detached. It queries the gates before a
    # peer is taken out of service.
    units = [unit for item in items for unit in item.units()]
    gates = [{"name": item.name, "url": item.url, "status": item.status} for item in items if isinstance(item, Gate)]
    node_file = File("/etc/tandem/node.json", json.dumps({"units": units, "gates": gates}, indent=2) + "\n")
    return Manifest(node.name, (*items, node_file, *unit_files.check(items)))
