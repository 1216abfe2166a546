"""Commits the parts of a rollout in the order of `order.py`, after all candidates were accepted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from provisioning.errors import ProvisioningError
from provisioning.facts import Facts
from provisioning.inventory import Inventory
from provisioning.kinds.base import Phase
from provisioning.plan import Plan
from provisioning.rollout.commit import NodeChange, commit_all, commit_staged, is_serving, stage, undo
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
    rollout = _Rollout(inventory, changes, version, token, report, confirm)
    apart = any(vrrp_differs(change.items, change.facts) for change in changes)
    parts = [divide(change.plan, together=_together(change) if apart else ()) for change in changes]
    for change, part in zip(changes, parts, strict=True):
        rollout.commit_part(change, part, part.before_others, change.facts)
    # Without the backup that an interrupted change has left stopped, the master could not be taken out of service.
    unfinished = apart and any(vrrp_is_unfinished(change.items, change.facts) for change in changes)
    if unfinished:
        rollout.change_vrrp(changes, parts)
        parts = [dataclasses.replace(part, in_order=without_pending(part.in_order, "keepalived")) for part in parts]
    rollout.commit_in_order(changes, parts)
    if not unfinished:
        rollout.change_vrrp(changes, parts)
    for change, part in zip(changes, parts, strict=True):
        facts = _accepted(change, version) if part.in_order else change.facts
        rollout.commit_part(change, part, part.after_all, facts)
    for change, part in zip(changes, parts, strict=True):
        rollout.accept_parts(change, part)
    return rollout.changed


def _accepted(change: NodeChange, version: Version) -> Facts:
    """The facts of a node after its part in order has passed the health gates: what a rollback restores now."""
    versions = dataclasses.replace(change.facts.versions, current=accept_operation(version, change.items))
    return dataclasses.replace(change.facts, versions=versions)


def _together(change: NodeChange) -> tuple[str, ...]:
    """The items that are committed with the VRRP settings while a running keepalived has others."""
    vrrp = vrrp_of(change.items)
    return (*vrrp.together, vrrp.label) if vrrp is not None else ()


@dataclass(slots=True)
class _Rollout:
    """The rollout of one version, and the changes until now."""

    inventory: Inventory
    all_changes: Sequence[NodeChange]
    version: Version
    token: str
    report: Report
    confirm: Confirm
    changed: dict[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])

    def commit_part(self, change: NodeChange, part: Parts, plan: Plan, facts: Facts) -> None:
        """Commit steps that take nothing out of service, so without a drain.

        The health gates follow here if the node has no part in order, which would wait for them. A failed commit is
        rolled back to the version in `facts`.
        """
        if not plan:
            return
        stage([dataclasses.replace(change, plan=plan)], self.version, self.token)
        gates = [] if part.in_order else [item for item in change.items if item.phase is Phase.GATE]
        try:
            lines = commit_staged(change, plan, gates, self.token, deadline_s=600.0)
        except ProvisioningError as error:
            peers = [other.target for other in self.all_changes if other is not change]
            failed = undo(error, change, peers, self.version, self.token, self.report, facts=facts)
            failed.message += "; the rollout stopped there"
            raise failed from None
        self._add({change.node.name: lines})

    def accept_parts(self, change: NodeChange, part: Parts) -> None:
        """Record that the node has the version, including the parts that were committed apart."""
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
