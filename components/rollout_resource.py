"""The configuration of all nodes as one resource. A preview shows the changed lines of each file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from components.credentials import Credentials
from components.host_keys_resource import GroupHostKeys
from components.rollout import RolloutProvider
from provisioning.deployment import Deployment
from provisioning.manifest_rendering import render
from provisioning.placeholders import DATA_DISK_ID
from provisioning.preview_text import show_files, show_items
from settings.rollout import Unreachable


@dataclass(frozen=True, slots=True)
class RolloutArgs:
    deployment: Deployment
    host_keys: GroupHostKeys
    credentials: Credentials
    data_disk_id: pulumi.Output[str] | None
    unreachable: Unreachable = "stop"


class Rollout(Resource, module="tandem", name="Rollout"):
    """One rollout of the manifests to all nodes of the group."""

    revision: pulumi.Output[str]
    drift: pulumi.Output[Mapping[str, Any]]
    incomplete: pulumi.Output[Sequence[str]]  # names of nodes that could not be reached

    def __init__(self, name: str, args: RolloutArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        outputs = {"revision": None, "drift": None, "incomplete": None}
        secret = pulumi.ResourceOptions(additional_secret_outputs=["secrets", "private_key"])
        super().__init__(
            RolloutProvider(), name, {**_inputs(args), **outputs}, pulumi.ResourceOptions.merge(opts, secret)
        )
        pulumi.Output.from_input(self.incomplete).apply(_warn_of)


def _warn_of(incomplete: Sequence[str] | None) -> None:
    for node in incomplete or ():
        pulumi.log.warn(f"{node} could not be reached and is not up to date; run `tandem up` again when it is running")


def _inputs(args: RolloutArgs) -> dict[str, Any]:
    # Rendered from settings, not inside an apply: the replacement of a node would make all files unknown in the
    # preview.
    manifests = render(args.deployment)
    values = args.credentials.certificates
    if args.data_disk_id is not None:
        values = pulumi.Output.all(values, args.data_disk_id).apply(lambda both: {**both[0], DATA_DISK_ID: both[1]})
    return {
        "group": args.deployment.group,
        "nodes": list(args.host_keys.nodes),
        "virtual_ips": list(args.deployment.virtual_ips),
        "files": {node: show_files(manifest) for node, manifest in manifests.items()},
        "manifests": {node: show_items(manifest) for node, manifest in manifests.items()},
        "values": values,
        "secrets": args.credentials.secrets,
        "private_key": args.credentials.deployment_key.private_key,
        "bastion": args.host_keys.bastion,
        "unreachable": args.unreachable,
    }
