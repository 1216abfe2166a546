"""The order of the changes of a rollout while the group serves. Pure: plans in, ordered parts of plans out.

1. What services on other nodes need: databases, accounts, grants, additional passwords, and what precedes them in the
   manifest of their node (packet filter, database servers).
2. Node by node: nodes that serve nothing yet, then backups, then masters.
3. The VRRP settings, which all eligible nodes must share (provisioning/rollout/vrrp_change.py).
4. What services on other nodes needed until then: old accounts and passwords, and units to stop.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from provisioning.facts import Facts
from provisioning.kinds.base import Item, Turn
from provisioning.kinds.vrrp import Vrrp
from provisioning.plan import Plan, Step


@dataclass(frozen=True, slots=True)
class Parts:
    """The plan of one node, divided into the parts of the rollout in which they are committed."""

    before_others: Plan
    in_order: Plan
    vrrp: Plan
    after_all: Plan


def divide(plan: Plan, *, together: Collection[str] = ()) -> Parts:
    """Divide a plan. `together` are the labels of the items that are committed with the VRRP settings.

    A step before a step that other nodes need is committed with it: services follow those that they depend on.
    """
    others = [step for step in plan.commit if step.item.label not in together]
    needed = [number for number, step in enumerate(others) if step.item.turn() is Turn.BEFORE_OTHERS]
    end = needed[-1] + 1 if needed else 0
    first = [step for step in others[:end] if step.item.turn() is not Turn.AFTER_ALL]
    last = [step for step in others if step.item.turn() is Turn.AFTER_ALL]
    rest = [step for step in others[end:] if step.item.turn() is not Turn.AFTER_ALL]
    middle = _part(plan, rest)
    return Parts(
        before_others=_part(plan, first),
        # With everything that concerns the whole node, such as the work that an interrupted run has left.
        in_order=dataclasses.replace(
            plan, commit=middle.commit, checks=middle.checks, unit_actions=middle.unit_actions
        ),
        vrrp=_part(plan, [step for step in plan.commit if step.item.label in together]),
        after_all=_part(plan, last),
    )


def without_after_all(plan: Plan) -> Plan:
    """The plan without the steps that follow after all nodes have changed."""
    return dataclasses.replace(
        plan, commit=tuple(step for step in plan.commit if step.item.turn() is not Turn.AFTER_ALL)
    )


def without_pending(plan: Plan, unit: str) -> Plan:
    """The plan after another part has performed the pending actions of the unit."""
    return dataclasses.replace(plan, pending=tuple(action for action in plan.pending if unit not in action.split()))


def _part(plan: Plan, steps: Iterable[Step]) -> Plan:
    steps = tuple(steps)
    paths = [candidate.path for step in steps for candidate in step.item.candidates()]
    actions = tuple(dict.fromkeys(action for step in steps for action in step.item.unit_actions()))
    return Plan(
        node=plan.node,
        commit=steps,
        record=plan.record,
        checks=tuple(check for check in plan.checks if check.sees(paths)),
        unit_actions=actions,
        postponed=tuple(action for action in plan.pending if action not in actions),
    )


def node_order(items: Sequence[Item], facts: Facts) -> tuple[bool, bool]:
    """Sort key of a node: new nodes first, since their peers will send requests to them; masters last."""
    units = {unit for item in items for unit in item.units()}
    running = any(runs(facts, unit) for unit in units if unit != "ssh")
    return running, bool(facts.addresses)


def runs(facts: Facts, unit: str) -> bool:
    """Whether the unit runs on the node."""
    return bool(facts.answers.get("unit", {}).get(unit, {}).get("active"))


# ---- VRRP settings -------------------------------------------------------------------------------------------------


def vrrp_of(items: Iterable[Item]) -> Vrrp | None:
    """The VRRP settings of a node; None if the manifest has none, for example of a bastion."""
    return next((item for item in items if isinstance(item, Vrrp)), None)


def vrrp_differs(items: Iterable[Item], facts: Facts) -> bool:
    """Whether keepalived runs on the node with other VRRP settings than those of the manifest."""
    vrrp = vrrp_of(items)
    return vrrp is not None and runs(facts, "keepalived") and vrrp.compare(facts.of(vrrp)) is not None


def vrrp_is_unfinished(items: Iterable[Item], facts: Facts) -> bool:
    """Whether keepalived, which has run on the node, is stopped: by an interrupted change if another node differs."""
    vrrp = vrrp_of(items)
    return vrrp is not None and not runs(facts, "keepalived") and bool(facts.of(vrrp).get("digest"))


@dataclass(frozen=True, slots=True)
class VrrpNode:
    """One node as the change of the VRRP settings needs it."""

    name: str
    eligible: bool  # in the new manifests
    runs: bool  # keepalived
    differs: bool  # from the new settings
    holds: bool  # a virtual IP


def find_keeper(nodes: Sequence[VrrpNode]) -> VrrpNode | None:
    """The node that keeps the virtual IPs during the change; None if keepalived runs on no eligible node.

    If two nodes hold a virtual IP, it is the one that has the new settings already.
    """
    candidates = [node for node in nodes if node.eligible and node.runs]
    return max(candidates, key=lambda node: (node.holds, not node.differs), default=None)


def find_stopped(nodes: Sequence[VrrpNode], keeper: VrrpNode | None) -> list[str]:
    """The nodes whose keepalived is stopped before the keeper changes, since its settings would differ."""
    return [node.name for node in nodes if node != keeper and node.runs and node.differs]


def with_unit(plan: Plan, items: Iterable[Item], unit: str) -> Plan:
    """The plan with a step that starts the unit, if the manifest has it and no step does so already."""
    label = f"unit {unit}"
    item = next((item for item in items if item.label == label), None)
    if item is None or any(step.item.label == label for step in plan.commit):
        return plan
    at = next((number for number, step in enumerate(plan.commit) if isinstance(step.item, Vrrp)), len(plan.commit))
    steps = (*plan.commit[:at], Step(item, "not running"), *plan.commit[at:])
    return dataclasses.replace(plan, commit=steps)


def marked_as_changing(plan: Plan, items: Iterable[Item]) -> Plan:
    """The plan of VRRP settings, which records before its first change that the node's settings are unknown.

    At its end it records them, also on a node whose record is the right one already: one that is eligible again.
    """
    vrrp = vrrp_of(items)
    recorded = any(isinstance(step.item, Vrrp) for step in plan.commit)
    last = (Step(vrrp, "change"),) if vrrp is not None and not recorded else ()
    return dataclasses.replace(plan, commit=(Step(Vrrp("changing"), "change"), *plan.commit, *last))
