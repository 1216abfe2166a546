"""The provider of the nodes' long-term host keys. Runs in the plugin of the dynamic resources.

The keys are read over a connection that pins the temporary host key (ADR 0003).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi.dynamic import CreateResult, DiffResult, ResourceProvider, UpdateResult

from components.failures import without_traceback
from components.input_diff import compare
from provisioning.exports import parse_node
from provisioning.ssh.host_keys import read_host_keys


class HostKeysProvider(ResourceProvider):
    """Only reads keys. The rollout removes the temporary key.

    A failed create leaves nothing in the state. If it had removed the key, the node could never be verified again.
    """

    # The provider contains no secrets, so a preview can show that it did not change.
    serialize_as_secret_always = False

    @without_traceback
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(props["node"]["name"], _read(props, [props["private_key"]]))

    @without_traceback
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        # A bastion has the key of the last rollout until the next one.
        return UpdateResult(_read(_news, [_news["private_key"], _olds["private_key"]]))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        # The keys of an instance never change. A new instance is an update, not a replacement: a replacement deletes
        # the keys before the instance, and they could not be read again if the instance is then kept.
        return DiffResult(changes=compare(_olds, _news, ["instance_id"]), replaces=[])


def _read(inputs: Mapping[str, Any], private_keys: Sequence[str]) -> dict[str, Any]:
    """Wait for the node and read its keys. Returns the resource's outputs. Raises: ProvisioningError."""
    bastion = inputs.get("bastion")
    keys = read_host_keys(parse_node(inputs["node"]), private_keys, bastion=parse_node(bastion) if bastion else None)
    return {**inputs, "host_keys": list(keys)}
