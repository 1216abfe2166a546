"""The provider of the rollout: applies the manifests to all nodes, and finds drift.

It runs in the plugin of the dynamic resources. Most runs only look for drift, so the rollout is imported when it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pulumi.dynamic import CreateResult, DiffResult, ReadResult, ResourceProvider, UpdateResult

from components.failures import without_traceback
from components.input_diff import compare
from provisioning import placeholders
from provisioning.errors import ProvisioningError
from provisioning.exports import parse_inventory
from provisioning.inventory import Inventory
from provisioning.kinds.account import Account
from provisioning.kinds.remote_account import RemoteAccount
from provisioning.manifest import Manifest
from provisioning.preview_text import read_manifest
from provisioning.rollout.drift import drift
from provisioning.traffic import node_changes
from provisioning.traffic.havip import confirm_with

_INPUTS = ("group", "nodes", "virtual_ips", "files", "manifests", "values", "secrets", "private_key", "bastion")
_OUTPUTS = {"revision", "drift", "incomplete"}  # set by the provider; the program passes None


class RolloutProvider(ResourceProvider):
    """Calls `provisioning`. The state contains the name of this class, not its code (ADR 0013)."""

    serialize_as_secret_always = False

    @without_traceback
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(props["group"], _roll_out(props))

    @without_traceback
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        refuse_a_password_in_place(_olds, _news)
        with node_changes.retired(_group(_olds, _news), find_departed(_olds, _news)):
            return UpdateResult(_roll_out(_news, previous=_olds))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return refreshed(id_, props, _find_drift(props))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        # Old outputs are compared with new inputs. `drift` from a refresh triggers a rollout that repairs it: it is an
        # input too, which the engine compares. `incomplete` triggers one that completes the skipped nodes.
        if found := _olds.get("drift"):
            # A refresh compares with the recorded inputs: it must also report drift that an earlier one has recorded.
            return DiffResult(changes=True if _news.get("drift") == found else None, replaces=[])
        changes = True if _olds.get("incomplete") else compare(_olds, _news, _INPUTS)
        return DiffResult(changes=changes, replaces=[])


def refreshed(id_: str, outputs: Mapping[str, Any], drift_by_node: Mapping[str, Sequence[str]]) -> ReadResult:
    """Return the result of a refresh. Drift is also an input, because a preview shows only inputs that differ."""
    inputs = {key: value for key, value in outputs.items() if key not in _OUTPUTS}
    found = {"drift": dict(drift_by_node)} if drift_by_node else {}
    return ReadResult(id_, {**outputs, "drift": dict(drift_by_node)}, inputs={**inputs, **found})


def _roll_out(inputs: Mapping[str, Any], previous: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Apply the manifests to all nodes. Returns the resource's outputs. Raises: ProvisioningError."""
    from provisioning.rollout import rollout  # noqa: PLC0415 - services and HTTP take 0.4 s to import

    inventory = _inventory(inputs, previous or {})
    unreachable = "skip" if inputs.get("unreachable") == "skip" else "stop"
    result = rollout.roll_out(inventory, _manifests(inputs), _secrets(inputs), _report, unreachable=unreachable)
    return {**inputs, "revision": result.revision, "drift": {}, "incomplete": list(result.incomplete)}


def _group(inputs: Mapping[str, Any], others: Mapping[str, Any]) -> node_changes.Group:
    inventory = _inventory(inputs, others)
    return node_changes.Group(inventory, confirm_with(inventory, os.environ), _report)


def refuse_a_password_in_place(olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
    """An account with a new password would refuse the nodes that still have the old one. Raises: ProvisioningError."""
    name = placeholders.MARIADB_IAM_PASSWORD
    if olds["secrets"].get(name) == news["secrets"].get(name):
        return
    kept = sorted(_node_accounts(olds) & _node_accounts(news))
    if kept:
        raise ProvisioningError(
            f"the password of the MariaDB account {kept[0]} cannot be changed in place: nodes that still have the old "
            "one could not log in; nothing was changed",
            look_at="increase tandem:credentials.generation.mariadbPassword too, which creates a second account",
        )


def _node_accounts(inputs: Mapping[str, Any]) -> set[str]:
    items = [
        item
        for manifest in _manifests(inputs).values()
        for item in manifest.items
        if isinstance(item, Account | RemoteAccount)
    ]
    return {f"{item.user}@{item.host}" for item in items if not item.host.startswith("127.")}


def _inventory(inputs: Mapping[str, Any], others: Mapping[str, Any]) -> Inventory:
    """The inventory of one state. While the deployment key is rotated, a node may only accept the key of the other."""
    inventory = parse_inventory(inputs)
    other_key = others.get("private_key") or ""
    return inventory if other_key == inventory.private_key else replace(inventory, other_private_key=other_key)


def find_departed(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """Return the names of the nodes that were removed from the group. A replaced node keeps its name."""
    remaining = {node["name"] for node in news["nodes"]}
    return [node["name"] for node in olds["nodes"] if node["name"] not in remaining]


def _find_drift(outputs: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the differences from the last rollout, by node.

    An unreachable node is reported as drift, not as an error.
    """
    try:
        found = drift(parse_inventory(outputs), _manifests(outputs), _secrets(outputs))
    except ProvisioningError as error:
        return {outputs["group"]: [str(error)]}
    return {node: list(lines) for node, lines in found.items() if lines}


def _manifests(inputs: Mapping[str, Any]) -> dict[str, Manifest]:
    return {node: read_manifest(node, items, inputs["files"][node]) for node, items in inputs["manifests"].items()}


def _secrets(inputs: Mapping[str, Any]) -> dict[str, str]:
    return {**inputs["values"], **inputs["secrets"]}


def _report(line: str) -> None:
    # The provider uses stdout to communicate with the engine. Lines on stderr are shown immediately.
    sys.stderr.write(f"{line}\n")
