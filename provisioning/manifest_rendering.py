"""Renders the manifests of a deployment: asks each service for its items."""

from __future__ import annotations

import json

from provisioning.deployment import BASTION, Deployment, Node
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.manifest import Manifest
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
