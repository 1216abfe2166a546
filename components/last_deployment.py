"""The exports of the last deployment, with which hooks connect to the group.

Hooks run before the outputs of the current run are known (a node's host keys depend on the node), so they use the
exports of the previous run. These must be read before any resource is declared: resources that the program no longer
declares are deleted after its end, when the engine does not respond to it any more.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pulumi

from provisioning.cloud_calls import connect, has_credentials
from provisioning.errors import ProvisioningError, SwitchoverError
from provisioning.exports import Exports, parse_exports
from provisioning.traffic import node_changes
from provisioning.traffic.havip import confirm_with
from provisioning.traffic.node_changes import Group
from provisioning.traffic.replacement import check_image_exists

Outputs = Mapping[str, Any]

# File and bucket backends do not replace the state atomically, and the engine writes it while the program starts. A
# read at that moment fails ("failed to load checkpoint: EOF", in one of three first runs with pulumi 3.259).
_RETRY_DELAYS_S = (0.1, 0.3, 0.5, 1.0, 2.0)


def read_exports() -> Exports | None:
    """Return the exports of the last deployment; None before the first finished deployment."""
    # A StackReference makes the same call, but it is a resource and would show all exports in every preview.
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    outputs = read_with_retries(
        lambda: pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": name}).value["outputs"] or {}
    )
    return parse_exports(outputs)


def read_with_retries(read: Callable[[], Outputs], sleep: Callable[[float], None] = time.sleep) -> Outputs:
    """Call `read` again while the state is being written. Raises: the last exception of `read`."""
    for delay_s in _RETRY_DELAYS_S:
        try:
            return read()
        except Exception as failed:
            # Pulumi raises no more specific exception.
            if "checkpoint" not in str(failed):
                raise
        sleep(delay_s)
    return read()


class LastDeployment:
    """The nodes of the last finished deployment."""

    def __init__(self, exports: Exports | None, settings: Mapping[str, str], image: str) -> None:
        """`settings` are those of the cloud's API (provisioning/traffic/havip.py); `image` that of a replaced node."""
        self._settings, self._image = settings, image
        self._group: Group | None = None
        self._protected = exports is not None and exports.termination_protection
        if exports:
            self._group = Group(exports.inventory, confirm_with(exports.inventory, settings), pulumi.log.info)

    async def take_out(self, node: str) -> None:
        """Take a node out of service. Raises: SwitchoverError if the others do not serve without it."""
        await self._run(node_changes.take_out_node, node)

    async def retire(self, node: str) -> None:
        """Take a node out of service, then stop its units and release its data disk. Raises: SwitchoverError."""
        await self._run(node_changes.retire, node)

    async def check_replacement(self, node: str) -> None:
        """Check that the node can be created again after its deletion. Raises: SwitchoverError."""
        if self._protected:
            # Refused by the API too, but only after the node was stopped and its disk detached.
            raise SwitchoverError(
                f"{node}: cannot be replaced while nodes.terminationProtection is true; nothing was changed",
                look_at="set tandem:nodes.terminationProtection to false and run `tandem up` first; "
                "this does not interrupt the nodes",
            )
        if has_credentials(self._settings):
            settings = self._settings
            await self._run(lambda _, name: check_image_exists(connect(settings), name, self._image), node)

    async def demote(self, node: str) -> None:
        """Move the virtual IPs of a node that stays in the group to its peers. Raises: SwitchoverError."""
        await self._run(node_changes.demote, node)

    async def put_back(self, node: str, *, failed: bool) -> None:
        """Put a node back into service after its change. A node that does not serve is reported, and stays out.

        `failed`: the change was not made, so the node still runs, or its units are started again.
        """
        try:
            if failed:
                await self._run(node_changes.resume_node, node)
            else:
                await self._run(partial(node_changes.put_back_node, changed=True), node)
        except ProvisioningError as error:
            pulumi.log.warn(str(error))

    async def _run(self, operation: Callable[[Group, str], object], node: str) -> None:
        if self._group is None:
            pulumi.log.warn(f"{node}: switchover skipped; no deployment has finished yet, so no client uses the node")
            return
        if node not in {node.name for node in self._group.inventory.nodes}:
            # A run that fails after its rollout has already exported the group without the node that it could not
            # delete. The rollout has retired that node before.
            pulumi.log.warn(
                f"{node}: switchover skipped; the node is not in the last deployment "
                "(its creation or its deletion was interrupted), so no client uses it"
            )
            return
        await asyncio.to_thread(operation, self._group, node)


def cloud_settings() -> dict[str, str]:
    """Return the settings of the cloud's API: the environment and the stack's `tencentcloud:*` settings."""
    config = pulumi.Config("tencentcloud")
    keys = ("secretId", "secretKey", "securityToken", "region", "domain", "protocol")
    return {**os.environ, **{key: value for key in keys if (value := config.get(key)) is not None}}
