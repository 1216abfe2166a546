"""Removes what has left the manifests, after all nodes have passed their health gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from provisioning.inventory import Inventory
from provisioning.parallel import in_parallel
from provisioning.plan import remove_operation
from provisioning.rollout.commit import NodeChange, make_surroundings
from provisioning.rollout.order import without_after_all
from provisioning.traffic.havip import Confirm
from provisioning.traffic.out_of_service import Extent, put_back_after_failure, take_out

Report = Callable[[str], None]
_KEEPALIVED = {"kind": "unit", "name": "keepalived"}


def stop_demoted(
    inventory: Inventory, changes: Sequence[NodeChange], token: str, report: Report, confirm: Confirm
) -> None:
    """Switch over and stop keepalived on nodes that are no longer eligible, before the others drop them as VRRP peers.

    Otherwise two nodes could hold the virtual IP: the new peers do not hear the demoted node. Raises SwitchoverError.
    """
    for change in changes:
        if _KEEPALIVED not in change.plan.removals:
            continue
        report(f"{change.node.name}: no longer eligible; switching over and stopping keepalived")
        around = make_surroundings(inventory, change, changes, report, confirm)
        take_out(around, Extent(services=(), ports=(), virtual_ips=True))
        remaining = [entry for entry in change.facts.applied if entry != _KEEPALIVED]
        with put_back_after_failure(around):
            change.connection.call([{"do": "remove", "entries": [_KEEPALIVED], "record": remaining}], token=token)
        change.connection.call([{"do": "end_drain"}])  # moves nothing without keepalived; nginx keeps connections again


def keep_for(skipped: Sequence[str], changes: Sequence[NodeChange], report: Report) -> list[NodeChange]:
    """The changes without the steps that follow after all nodes have changed, such as stopping databases.

    A skipped node that comes back still needs its old account, password or databases.
    """
    kept = [replace(change, plan=without_after_all(change.plan)) for change in changes]
    if any(change.plan.removals or change.plan != less.plan for change, less in zip(changes, kept, strict=True)):
        verb = "is" if len(skipped) == 1 else "are"
        report(f"items that left the manifests are removed when {', '.join(skipped)} {verb} completed")
    return kept


def remove_all(
    changes: Sequence[NodeChange], changed: Mapping[str, tuple[str, ...]], token: str
) -> dict[str, tuple[str, ...]]:
    """Remove the items that have left the manifests. Returns all changes made, by node name."""

    def remove(change: NodeChange) -> tuple[str, ...]:
        if all(entry in change.plan.record for entry in change.facts.applied):
            return ()
        return tuple(
            change.connection.call([remove_operation(change.plan, change.items)], token=token, deadline_s=600)[0]
        )

    removed = zip(changes, in_parallel(changes, remove), strict=True)
    more = {**changed, **{change.node.name: (*changed.get(change.node.name, ()), *lines) for change, lines in removed}}
    return {node: lines for node, lines in more.items() if lines}
