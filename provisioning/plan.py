"""The plan of one node: the difference between its manifest and its facts. Pure.

Steps are in the order of the manifest. A plan without steps is false: the node needs no change.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.facts import Facts
from provisioning.kinds.base import Item, Phase
from provisioning.kinds.check import Check
from provisioning.kinds.unit import Unit
from provisioning.leaving import LEFT, Entry, describe_entry, find_leaving

FILES_CHANGE = "its files change"
_ENTRANCE = {"nginx", "keepalived"}  # the units on which clients of a virtual IP depend


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one node: the item, and how the node differs from it."""

    item: Item
    why: str  # "missing", "content differs", "mode is 0600, must be 0640"

    def __str__(self) -> str:
        return f"{self.item.label}: {self.why}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes of one node."""

    node: str
    prepare: tuple[Step, ...] = ()  # does not affect running services: packages, users, directories, archives
    commit: tuple[Step, ...] = ()
    checks: tuple[Check, ...] = ()  # those whose directories contain a candidate
    unit_actions: tuple[str, ...] = ()  # "reload nginx", in order: actions that the changes require
    pending: tuple[str, ...] = ()  # actions that an interrupted run did not finish
    postponed: tuple[str, ...] = ()  # pending actions of a later part, since this part does not drain the node
    refused: tuple[Step, ...] = ()  # the node cannot be brought to these items
    drained: bool = False  # an interrupted switchover left the node drained
    # The last change has not passed its health gates; these actions belong to it, and a rollback would repeat them.
    unfinished: tuple[str, ...] | None = None
    removals: tuple[Entry, ...] = ()  # items that have left the manifest, in the order of removal
    record: tuple[Entry, ...] = ()  # the items that the next manifest may have to remove
    recorded: bool = True  # whether the node has this record

    def __bool__(self) -> bool:
        unfinished = self.unfinished is not None
        return bool(self.prepare or self.commit or self.pending or self.drained or unfinished or not self.recorded)

    def changed_paths(self) -> list[str]:
        """The paths of all files and links that change."""
        return [candidate.path for step in self.commit for candidate in step.item.candidates()]

    def restarts(self) -> tuple[str, ...]:
        """The units that will or may be restarted, which cuts their connections."""
        actions = [action.split(" ", 1) for action in (*self.pending, *self.unit_actions, *(self.unfinished or ()))]
        return tuple(dict.fromkeys(unit for verb, *rest in actions if verb == "restart" for unit in rest))

    def cuts_off_clients(self) -> bool:
        """Whether the clients of a virtual IP would lose requests or connections on this node (ADR 0024).

        A reload of nginx loses no request, and other services leave the upstreams before they restart. A reload of
        keepalived may remove the address. After an interrupted change, the state of the units is not known.
        """
        changed = {step.item.name for step in self.commit if isinstance(step.item, Unit) and step.why != FILES_CHANGE}
        return bool(
            any(map(action_cuts_off_clients, self.unit_actions))
            or changed & _ENTRANCE
            or self.pending
            or self.unfinished
        )


def action_cuts_off_clients(action: str) -> bool:
    """Whether an action, such as "restart nginx", cuts off clients of a virtual IP (ADR 0024)."""
    return action != "reload nginx" and action.split(" ", 1)[-1] in _ENTRANCE


def make_plan(node: str, items: Sequence[Item], facts: Facts) -> Plan:
    """The changes that bring a node with these facts to `items`, whose placeholders must be replaced already."""
    leaving = find_leaving(items, facts.applied)
    # dict.fromkeys: two services may require the same package.
    differing = {item: why for item in dict.fromkeys(items) if (why := item.compare(facts.of(item)))}
    differing |= dict.fromkeys(leaving.absent, LEFT)
    committed = [*leaving.absent, *(item for item in items if item.phase is Phase.COMMIT)]
    unit_actions = tuple(
        dict.fromkeys(action for item in committed if item in differing for action in item.unit_actions())
    )
    affected = {action.split(" ", 1)[-1] for action in (*facts.pending, *unit_actions)}
    for item in committed:
        if item not in differing and affected.intersection(item.follows()):
            differing[item] = FILES_CHANGE
    changed_paths = [each.path for item in committed if item in differing for each in item.candidates()]
    prepared = [item for item in differing if item.phase in (Phase.INSTALL, Phase.PREPARE)]
    return Plan(
        node=node,
        prepare=tuple(Step(item, differing[item]) for item in sorted(prepared, key=lambda item: item.phase)),
        commit=tuple(Step(item, differing[item]) for item in committed if item in differing),
        checks=tuple(item for item in items if isinstance(item, Check) and item.sees(changed_paths)),
        unit_actions=unit_actions,
        pending=facts.pending,
        refused=tuple(Step(item, why) for item in items if (why := item.refusal(facts.of(item)))),
        drained=facts.draining,
        unfinished=tuple(facts.versions.unfinished["actions"]) if facts.versions.unfinished else None,
        removals=leaving.removals,
        record=leaving.record,
        recorded=facts.applied == leaving.record,
    )


def changed_units(plan: Plan) -> frozenset[str]:
    """The units that are started, restarted or reloaded."""
    return frozenset(unit for step in plan.commit for unit in step.item.units())


# ---- as text -----------------------------------------------------------------------------------------------------


def describe(plan: Plan) -> list[str]:
    """One line for each change, in order. Contains no secrets."""
    return [*(str(step) for step in (*plan.prepare, *plan.commit)), *_others(plan)]


def _others(plan: Plan) -> list[str]:
    """The removals, and what an interrupted run has left to do."""
    lines = [f"{describe_entry(entry)}: {LEFT}" for entry in plan.removals]
    lines += [f"{action}: not finished by an interrupted run" for action in plan.pending]
    lines += ["the last change has not passed its health gates"] if plan.unfinished is not None else []
    return [*lines, "still drained by an interrupted switchover"] if plan.drained else lines


def changed_lines(plan: Plan, facts: Facts, secret: Collection[str]) -> list[str]:
    """Like `describe`, with the differing lines of each text. Omits the lines of items whose label is in `secret`."""
    lines: list[str] = []
    for step in (*plan.prepare, *plan.commit):
        lines.append(str(step))
        changed = step.item.changed_lines(facts.of(step.item))
        if changed and step.item.label in secret:
            lines.append("  (not shown: contains a secret)")
        else:
            lines += [f"  {line}" for line in changed]
    return [*lines, *_others(plan)]


# ---- as operations for the agent -------------------------------------------------------------------------------


def prepare_operation(plan: Plan) -> dict[str, Any]:
    return {"do": "prepare", "items": [_operation(step.item) for step in plan.prepare]}


def stage_operation(plan: Plan, revision: str, serial: int) -> dict[str, Any]:
    candidates = [candidate for step in plan.commit for candidate in step.item.candidates()]
    files = [each for each in candidates if each.text is not None]
    links = [each for each in candidates if each.target is not None]
    return {
        "do": "stage",
        "revision": revision,
        "serial": serial,
        "files": [
            {"path": each.path, "owner": each.owner, "group": each.group, "mode": each.mode, "text": each.text}
            for each in files
        ],
        "links": [{"path": each.path, "target": each.target} for each in links],
        "absent": [each.path for each in candidates if each.text is None and each.target is None],
        "units": list(dict.fromkeys(unit for step in plan.commit for unit in step.item.follows())),
        "unit_actions": list(plan.unit_actions),
        "checks": [check.operation() for check in plan.checks],
    }


def commit_operation(plan: Plan) -> dict[str, Any]:
    return {
        "do": "commit",
        "actions": [_operation(step.item) for step in plan.commit],
        "record": list(plan.record),
        "postponed": list(plan.postponed),
    }


def remove_operation(plan: Plan, items: Sequence[Item]) -> dict[str, Any]:
    kinds = {entry["kind"] for entry in plan.removals}
    secrets = {item.kind(): found for item in items if item.kind() in kinds and (found := item.removal_secrets())}
    return {"do": "remove", "entries": list(plan.removals), "record": list(plan.record), "secrets": secrets}


def gate_operation(item: Item, nonce: str = "") -> dict[str, Any]:
    """The agent's operation that waits for one health check. `nonce` marks the authorization decision of a check."""
    return {"do": "gate", "nonce": nonce, **_operation(item)}


def _operation(item: Item) -> dict[str, Any]:
    return {"kind": item.kind(), **item.operation()}
