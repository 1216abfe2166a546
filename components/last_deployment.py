"""The exports of the last deployment, with which hooks connect to the group.

Hooks run before the outputs of the current run are known (a node's host keys depend on the node), so they use the
exports of the previous run. These must be read before any resource is declared: resources that the program no longer
declares are deleted after its end, when the engine does not respond to it any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import pulumi

from provisioning import switchover
from provisioning.exports import Exports, parse_exports
from provisioning.inventory import Inventory

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

    def __init__(self, exports: Exports | None) -> None:
        self._inventory = exports.inventory if exports else None

    async def switch_over(self, node: str) -> None:
        """Drain a node and switch its virtual IPs over to a peer. Raises: SwitchoverError if no peer is healthy."""
        await self._run(switchover.switch_over, node)

    async def retire(self, node: str) -> None:
        """Switch over, then stop the node's services and release its data disk. Raises: SwitchoverError."""
        await self._run(switchover.retire, node)

    async def _run(self, operation: Callable[[Inventory, str], object], node: str) -> None:
        if self._inventory is None:
            pulumi.log.warn(f"{node}: switchover skipped; no deployment has finished yet, so no client uses the node")
            return
        if node not in {node.name for node in self._inventory.nodes}:
            # A run that fails after its rollout has already exported the group without the node that it could not
            # delete. The rollout has retired that node before.
            pulumi.log.warn(
                f"{node}: switchover skipped; the node is not in the last deployment "
                "(its creation or its deletion was interrupted), so no client uses it"
            )
            return
        await asyncio.to_thread(operation, self._inventory, node)
