"""Desired state minus observed state: a plan, which is a value. Print it, compare it, apply it, test it. Pure.

The order of a plan is the manifest's. A plan without steps means that there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.facts import Facts
from provisioning.kinds.base import Phase, Thing
from provisioning.kinds.check import Check


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one node: which thing, and in words what about it is not as it should be."""

    thing: Thing
    why: str  # "is not there", "differs", "has mode 0600, not 0640"

    def __str__(self) -> str:
        return f"{self.thing.label} {self.why}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to change on one node."""

    node: str
    prepare: tuple[Step, ...] = ()  # disturbs nothing: packages, users, directories, archives
    commit: tuple[Step, ...] = ()
    checks: tuple[Check, ...] = ()  # those that see one of the candidates
    afters: tuple[str, ...] = ()  # "reload nginx", in order: what the changes ask for
    pending: tuple[str, ...] = ()  # the same, left over by a run that was cut off
    drained: bool = False  # by a run that was cut off, too

    def __bool__(self) -> bool:
        return bool(self.prepare or self.commit or self.pending or self.drained)

    def restarts(self) -> tuple[str, ...]:
        """Units that running connections will be cut from."""
        words = [after.split(" ", 1) for after in (*self.pending, *self.afters)]
        return tuple(dict.fromkeys(unit for verb, *rest in words if verb == "restart" for unit in rest))


def make_plan(node: str, things: Sequence[Thing], facts: Facts) -> Plan:
    """What to change so that a node with these facts has `things` (texts with their secrets)."""
    # Two services may ask for the same package.
    differing = {thing: why for thing in dict.fromkeys(things) if (why := thing.compare(facts.of(thing)))}
    committed = [thing for thing in things if thing.phase is Phase.COMMIT]
    afters = tuple(dict.fromkeys(after for thing in committed if thing in differing for after in thing.followed_by()))
    waiting = {after.split(" ", 1)[-1] for after in (*facts.pending, *afters)}
    for thing in committed:
        if thing not in differing and waiting.intersection(thing.follows()):
            differing[thing] = "has changed files"
    changed_paths = [each.path for thing in committed if thing in differing for each in thing.candidates()]
    prepared = [thing for thing in differing if thing.phase in (Phase.INSTALL, Phase.PREPARE)]
    return Plan(
        node=node,
        prepare=tuple(Step(thing, differing[thing]) for thing in sorted(prepared, key=lambda thing: thing.phase)),
        commit=tuple(Step(thing, differing[thing]) for thing in committed if thing in differing),
        checks=tuple(thing for thing in things if isinstance(thing, Check) and thing.sees(changed_paths)),
        afters=afters,
        pending=facts.pending,
        drained=facts.draining,
    )


# ---- as text -----------------------------------------------------------------------------------------------------


def describe(plan: Plan) -> list[str]:
    """One line for each change, in order; no secret in any."""
    return [*(str(step) for step in (*plan.prepare, *plan.commit)), *_left_over(plan)]


def _left_over(plan: Plan) -> list[str]:
    lines = [f"{after} was cut off in an earlier run" for after in plan.pending]
    return [*lines, "it is still drained from an earlier hand-over"] if plan.drained else lines


def changed_lines(plan: Plan, facts: Facts, secret: Collection[str]) -> list[str]:
    """Like `describe`, with the lines of a text that differ. Of things whose label is in `secret`, no line is shown."""
    lines: list[str] = []
    for step in (*plan.prepare, *plan.commit):
        lines.append(str(step))
        changed = step.thing.changed_lines(facts.of(step.thing))
        if changed and step.thing.label in secret:
            lines.append("  (holds a secret: not shown)")
        else:
            lines += [f"  {line}" for line in changed]
    return [*lines, *_left_over(plan)]


# ---- as operations for the agent -------------------------------------------------------------------------------


def prepare_operation(plan: Plan) -> dict[str, Any]:
    return {"do": "prepare", "things": [_operation(step.thing) for step in plan.prepare]}


def stage_operation(plan: Plan, revision: str) -> dict[str, Any]:
    candidates = [candidate for step in plan.commit for candidate in step.thing.candidates()]
    files = [each for each in candidates if each.text is not None]
    links = [each for each in candidates if each.target is not None]
    return {
        "do": "stage",
        "revision": revision,
        "files": [
            {"path": each.path, "owner": each.owner, "group": each.group, "mode": each.mode, "text": each.text}
            for each in files
        ],
        "links": [{"path": each.path, "target": each.target} for each in links],
        "absent": [each.path for each in candidates if each.text is None and each.target is None],
        "afters": list(plan.afters),
        "checks": [check.operation() for check in plan.checks],
    }


def commit_operation(plan: Plan) -> dict[str, Any]:
    return {"do": "commit", "actions": [_operation(step.thing) for step in plan.commit]}


def _operation(thing: Thing) -> dict[str, Any]:
    return {"kind": thing.kind(), **thing.operation()}
