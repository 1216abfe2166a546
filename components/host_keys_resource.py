"""The nodes' long-term host keys as resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from components.credentials import Credentials
from components.hooks import of_node
from components.host_keys import HostKeysProvider
from components.nodes import Instance, Nodes


class HostKeys(Resource, module="tandem", name="HostKeys"):
    """Public host keys of one node, as lines `ssh-ed25519 AAAA...`."""

    host_keys: pulumi.Output[Sequence[str]]

    def __init__(
        self,
        name: str,
        node: Mapping[str, Any],
        private_key: pulumi.Input[str],
        bastion: Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            # Separate from `node`: when one value of an input is unknown, `diff` sees the complete input as unknown.
            "instance_id": node["instance_id"],
            "node": node,
            "private_key": private_key,
            "bastion": bastion,
            "host_keys": None,
        }
        secret = pulumi.ResourceOptions(additional_secret_outputs=["private_key"])
        super().__init__(HostKeysProvider(), name, inputs, pulumi.ResourceOptions.merge(opts, secret))


@dataclass(frozen=True, slots=True)
class HostKeysArgs:
    nodes: Nodes
    credentials: Credentials
    user: str


class GroupHostKeys(pulumi.ComponentResource):
    """The long-term host keys of all nodes, and the data with which a rollout connects to the nodes."""

    nodes: tuple[dict[str, Any], ...]
    bastion: dict[str, Any] | None

    def __init__(self, name: str, args: HostKeysArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tandem:cloud:HostKeys", name, None, opts)
        self._name, self._args = name, args
        self.bastion = None
        if args.nodes.bastion is not None:
            self.bastion = self._verified(args.nodes.bastion)
        self.nodes = tuple(self._verified(instance) for instance in args.nodes.instances)
        self.register_outputs({})

    def _verified(self, instance: Instance) -> dict[str, Any]:
        """Return the node's data with its long-term keys."""
        user = self._args.user
        temporary_key = self._args.credentials.temporary_host_keys[instance.name].public_key
        verified = HostKeys(
            of_node(self._name, instance.name),
            node=node_data(instance, user, [temporary_key]),
            private_key=self._args.credentials.deployment_key.private_key,
            bastion=self.bastion,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return node_data(instance, user, verified.host_keys)


def node_data(
    instance: Instance, user: str, host_keys: pulumi.Output[Sequence[str]] | list[pulumi.Output[str]]
) -> dict[str, Any]:
    """Return the data of one node for the dynamic resources. Each value is a separate output, so that only the instance
    id is unknown in the preview of a replacement.
    """
    return {
        "name": instance.name,
        "instance_id": instance.instance_id,
        "private_address": instance.private_address,
        "ssh_address": instance.ssh_address,
        "user": user,
        "host_keys": host_keys,
        "eligible": instance.eligible,
    }
