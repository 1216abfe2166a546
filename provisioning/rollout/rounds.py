"""Commits the parts of a rollout in the order of `order.py`, after all candidates were accepted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from provisioning.inventory import Inventory
from provisioning.plan import Plan
from provisioning.rollout.commit import NodeChange, commit_all, commit_part, is_serving, stage
from provisioning.rollout.order import Parts, divide, vrrp_differs, vrrp_is_unfinished, vrrp_of, without_pending
from provisioning.rollout.versions import Version, accept_operation
from provisioning.rollout.vrrp_change import change_vrrp
from provisioning.traffic.havip import Confirm

Report = Callable[[str], None]


def commit_in_order(
    inventory: Inventory,
    changes: Sequence[NodeChange],
    version: Version,
    token: str,
    report: Report,
    *,
    confirm: Confirm,
) -> dict[str, tuple[str, ...]]:
    """Commit the staged candidates and return the changes made, by node name.

    While the group serves, each part is staged again just before its commit, so a node never has half a part.

    Raises:
        GateError: a node failed its health gate and was rolled back; the following nodes were not changed.
        ProvisioningError: a step failed on a node.
    """
    if not is_serving(changes):
        return commit_all(inventory, changes, version, token, report, confirm=confirm)
    rollout = _Rollout(inventory, version, token, report, confirm)
    apart = any(vrrp_differs(change.items, change.facts) for change in changes)
    parts = [divide(change.plan, together=_together(change) if apart else ()) for change in changes]
    for change, part in zip(changes, parts, strict=True):
        rollout.commit_part(change, part.before_others)
    # Without the backup that an interrupted change has left stopped, the master could not be taken out of service.
    unfinished = apart and any(vrrp_is_unfinished(change.items, change.facts) for change in changes)
    if unfinished:
        rollout.change_vrrp(changes, parts)
        parts = [dataclasses.replace(part, in_order=without_pending(part.in_order, "keepalived")) for part in parts]
    rollout.commit_in_order(changes, parts)
    if not unfinished:
        rollout.change_vrrp(changes, parts)
    for change, part in zip(changes, parts, strict=True):
        rollout.commit_part(change, part.after_all)
    for change, part in zip(changes, parts, strict=True):
        rollout.accept_parts(change, part)
    return rollout.changed


def _together(change: NodeChange) -> tuple[str, ...]:
    """The items that are committed with the VRRP settings while a running keepalived has others."""
    vrrp = vrrp_of(change.items)
    return (*vrrp.together, vrrp.label) if vrrp is not None else ()


@dataclass(slots=True)
class _Rollout:
    """The rollout of one version, and the changes until now."""

    inventory: Inventory
    version: Version
    token: str
    report: Report
    confirm: Confirm
    changed: dict[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])

    def commit_part(self, change: NodeChange, plan: Plan) -> None:
        """Commit steps that take nothing out of service: no drain, no health gate."""
        self._add(commit_part(change, plan, self.version, self.token, deadline_s=600.0))

    def accept_parts(self, change: NodeChange, part: Parts) -> None:
        """Record that the node has the version, including the parts that have no health gates."""
        if part.before_others or part.vrrp or part.after_all:
            change.connection.call([accept_operation(self.version, change.items)], token=self.token)

    def commit_in_order(self, changes: Sequence[NodeChange], parts: Sequence[Parts]) -> None:
        in_order = [dataclasses.replace(each, plan=part.in_order) for each, part in zip(changes, parts, strict=True)]
        if any(change.plan.commit != part.in_order.commit for change, part in zip(changes, parts, strict=True)):
            stage(in_order, self.version, self.token)
        self._add(commit_all(self.inventory, in_order, self.version, self.token, self.report, confirm=self.confirm))

    def change_vrrp(self, changes: Sequence[NodeChange], parts: Sequence[Parts]) -> None:
        vrrp = [dataclasses.replace(each, plan=part.vrrp) for each, part in zip(changes, parts, strict=True)]
        if any(change.plan for change in vrrp):
            self._add(change_vrrp(self.inventory, vrrp, self.version, self.token, self.report, confirm=self.confirm))

    def _add(self, changed: Mapping[str, tuple[str, ...]]) -> None:
        for node, lines in changed.items():
            self.changed[node] = (*self.changed.get(node, ()), *lines)
