"""Finds the differences between the nodes and their manifests.

Each refresh runs this, so it imports neither the services nor the rollout, which take 0.4 s to import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from provisioning.errors import ProvisioningError, UnreachableError
from provisioning.facts import Facts, question
from provisioning.inventory import Inventory, RemoteNode
from provisioning.manifest import Manifest
from provisioning.parallel import in_parallel
from provisioning.placeholders import find_names
from provisioning.plan import changed_lines, make_plan
from provisioning.rollout.desired import replace_secrets, revision_of, with_bastion
from provisioning.ssh.agent_calls import Connection
from provisioning.ssh.connections import connector


def drift(
    inventory: Inventory,
    manifests: Mapping[str, Manifest],
    secrets: Mapping[str, str],
    *,
    connect: Callable[[RemoteNode], Connection] | None = None,
) -> dict[str, list[str]]:
    """The differences between each node and its manifest, by node name. Nodes without drift are left out.

    A node that is deleted or unreachable is reported as drift and not raised as an error.
    """
    inventory, manifests = with_bastion(inventory, manifests)
    desired = replace_secrets(inventory, manifests, secrets)
    secret_paths = {
        name: frozenset(path for path, text in manifest.files().items() if find_names(text))
        for name, manifest in manifests.items()
    }
    revision = revision_of(desired)
    connect = connect or connector(inventory, deadline_s=5)

    def find_drift(node: RemoteNode) -> list[str]:
        try:
            connection = connect(node)
        except UnreachableError as error:
            return [f"unreachable: {error.message}"]
        try:
            items = desired[node.name]
            facts = Facts.from_answer(connection.call([question(items, inventory.virtual_ips)])[0])
            lines = changed_lines(make_plan(node.name, items, facts), facts, secret_paths[node.name])
            rejected = lines and revision in facts.versions.rejected
            return [facts.versions.describe_rejection(revision), *lines] if rejected else lines
        except ProvisioningError as error:
            return [f"cannot be checked: {error.message}"]
        finally:
            connection.close()

    found = in_parallel(inventory.nodes, find_drift)
    return {node.name: lines for node, lines in zip(inventory.nodes, found, strict=True) if lines}
