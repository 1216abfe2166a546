"""The group as it was when the last deployment ended: what hooks need to reach it.

Hooks run before this run's own resources are known (a node's keys depend on the node), so they cannot wait
for these. The stack's own exports can be read at once, before anything is declared; they must be read then, since what
was taken out of the program is deleted after its end, when the engine no longer answers.
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

# A state in a directory or a bucket is not replaced in one step, and the engine writes it as the program starts: read
# at that moment it is half a file ("failed to load checkpoint: EOF", in one of three first runs with pulumi 3.259).
_PAUSES_S = (0.1, 0.3, 0.5, 1.0, 2.0)


def read_exports() -> Exports | None:
    """What the stack exported last; None before its first finished deployment."""
    # What a StackReference asks too; but that would be a resource, and show every export in every preview.
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    outputs = patiently(
        lambda: pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": name}).value["outputs"] or {}
    )
    return parse_exports(outputs)


def patiently(read: Callable[[], Outputs], sleep: Callable[[float], None] = time.sleep) -> Outputs:
    """Read again while what is found is half a state. Raises what `read` raises."""
    for pause_s in _PAUSES_S:
        try:
            return read()
        except Exception as failed:
            # Pulumi raises no narrower kind.
            if "checkpoint" not in str(failed):
                raise
        sleep(pause_s)
    return read()


class LastDeployment:
    """The nodes of the last finished deployment."""

    def __init__(self, exports: Exports | None) -> None:
        self._inventory = exports.inventory if exports else None

    async def switch_over(self, node: str) -> None:
        """Drain a node and hand its addresses to a peer. Raises SwitchoverError unless a peer serves."""
        await self._do(switchover.switch_over, node)

    async def retire(self, node: str) -> None:
        """The same, then stop all that runs there and let go of its data disk. Raises SwitchoverError."""
        await self._do(switchover.retire, node)

    async def _do(self, leave: Callable[[Inventory, str], object], node: str) -> None:
        if self._inventory is None:
            pulumi.log.warn(f"{node}: no deployment was finished yet, so nobody is served by it: no hand-over")
            return
        if node not in {node.name for node in self._inventory.nodes}:
            # A run that fails after its rollout has exported the group as it wanted it: without the node that it
            # then could not delete. The rollout comes first, and has it hand over and stop.
            pulumi.log.warn(
                f"{node}: an earlier run had it leave the group and could not delete it, or it was never finished: "
                "nobody is served by it, no hand-over"
            )
            return
        await asyncio.to_thread(leave, self._inventory, node)
