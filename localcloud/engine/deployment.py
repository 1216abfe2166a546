"""Decides what is to be done about each registered resource, and has it done."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NoReturn

from localcloud.engine.comparison import Difference, changed_names, keep_ignored, parse_path
from localcloud.engine.deletion import delete_in_order
from localcloud.engine.display import Operation
from localcloud.engine.errors import ResourceError
from localcloud.engine.goal import Goal
from localcloud.engine.providers.base import ProviderError
from localcloud.engine.state import Resource
from localcloud.engine.steps import CancelledError, Steps
from localcloud.engine.urns import STACK_TYPE, type_of
from localcloud.engine.values import UNKNOWN, Properties, mark_secrets, without_unknowns


@dataclass(frozen=True, slots=True)
class Registered:
    """The answer to a registration."""

    urn: str
    id: str = ""
    outputs: Properties | None = None
    unknown: bool = False  # nothing is there, and nothing will be: outputs stay unknown


class Deployment:
    """One run of a program against the state. Registrations come concurrently, each after what it depends on."""

    def __init__(self, steps: Steps, *, dry_run: bool, destroying: bool = False) -> None:
        self._steps = steps
        self._store = steps.store
        self._display = steps.display
        self._dry_run = dry_run
        self._destroying = destroying
        self._mutex = threading.RLock()
        self._registered: set[str] = set()
        self._stack_outputs: tuple[str, Properties] | None = None
        self._replaced: dict[str, Resource] = {}  # deleted ahead of their replacement, by URN

    def recover(self) -> None:
        """Find what a killed run made without recording it. Only then does this call any API.

        Raises ResourceError when that cannot be found out: going on could make things twice.
        """
        for pending in self._store.pending():
            wanted = pending.resource
            known = frozenset(one.id for one in self._store.resources() if one.type == wanted.type)
            try:
                provider = self._steps.providers.get(wanted.type)
                found = provider.find(wanted.type, wanted.inputs, pending.token, known)
            except ProviderError as error:
                msg = f"cannot find out what the last run made: {error}"
                raise ResourceError(wanted.urn, msg) from error
            if found is None:
                self._store.drop_pending([wanted.urn])
                continue
            old = self._store.find(wanted.urn)
            self._store.put(replace(wanted, id=found, unsettled=True), replacing=old)

    def register(self, goal: Goal) -> Registered:
        """Raises ResourceError (already shown) and CancelledError."""
        with self._mutex:
            if goal.urn in self._registered:
                self._refuse(goal.urn, f"duplicate resource: two resources of this type are named {goal.name!r}")
            self._registered.add(goal.urn)
        if self._steps.stopped.is_set():
            raise CancelledError
        if self._destroying:
            return self._as_it_was(goal)
        if not goal.custom:
            return self._register_component(goal)
        try:
            return self._register_custom(goal)
        except ProviderError as error:
            self._refuse(goal.urn, str(error))

    def register_outputs(self, urn: str, outputs: Properties) -> None:
        """A component's outputs are recorded at once; the stack's when the program is through (`keep_outputs`)."""
        if self._destroying or self._dry_run:
            return
        if type_of(urn) == STACK_TYPE:
            self._stack_outputs = (urn, outputs)
        else:
            self._record_outputs(urn, outputs)

    def keep_outputs(self) -> None:
        """The program has succeeded: what it exported takes the place of what the last one did."""
        if self._stack_outputs is not None:
            self._record_outputs(*self._stack_outputs)

    def _record_outputs(self, urn: str, outputs: Properties) -> None:
        resource = self._store.find(urn)
        if resource is not None:
            self._store.put(replace(resource, outputs=outputs))

    def delete_the_rest(self) -> bool:
        """Delete what is in the state and was not registered, or was replaced; False when something failed."""
        with self._mutex:
            registered = frozenset() if self._destroying else frozenset(self._registered)
        gone = [one for one in self._store.resources() if one.delete or one.urn not in registered]
        protected = [one for one in gone if one.protect and not one.delete]
        for one in protected:
            self._display.error(
                "the resource is protected, so it cannot be deleted; nothing was deleted\n"
                "  take `protect` off it in the program, run `up`, then try again",
                one.urn,
            )
        if protected:
            return False
        if self._dry_run:
            for one in gone:
                self._plan("discard" if one.delete else "delete", one.urn)
            return True
        urns = {one.urn for one in gone if not one.delete}

        def delete(one: Resource) -> None:
            self._steps.delete(one, keep=one.deleted_with in urns, operation="discard" if one.delete else "delete")

        return delete_in_order(gone, delete)

    def wait_until_idle(self) -> None:
        """Return once no step is at work. A step that still waits in its before hook is not."""
        self._steps.activity.wait_until_idle()

    # One resource

    def _as_it_was(self, goal: Goal) -> Registered:
        old = self._store.find(goal.urn)
        if old is None:
            return Registered(goal.urn, unknown=True, outputs={})
        return Registered(goal.urn, old.id, old.outputs)

    def _register_component(self, goal: Goal) -> Registered:
        old = self._store.find(goal.urn)
        wanted = _resource_of(goal, goal.inputs)
        if self._dry_run:
            self._plan("same" if old else "create", goal.urn)
        elif old is None:
            self._steps.create(wanted)
        else:
            self._store.put(replace(wanted, outputs=old.outputs, created=old.created))
            self._display.count("same")
        return Registered(goal.urn, outputs=goal.inputs)

    def _register_custom(self, goal: Goal) -> Registered:
        old = self._store.find(goal.urn)
        if old is not None and old.unsettled and not self._dry_run:
            old = self._steps.settle(old)
        before = old or self._replaced.get(goal.urn)
        inputs = keep_ignored(old.inputs, goal.inputs, goal.ignore_changes) if old else goal.inputs
        provider = self._steps.providers.get(goal.type)
        wanted = _resource_of(goal, provider.check(goal.type, before.inputs if before else {}, inputs))
        if old is None:
            return self._create(wanted, "create" if before is None else "replace")
        difference = provider.diff(goal.type, old.id, old.inputs, old.outputs, wanted.inputs)
        difference = _with_forced_replacement(difference, goal, old, wanted)
        if difference.none:
            return self._keep(old, wanted)
        if difference.replaces:
            return self._replace(goal, old, wanted, difference)
        if self._dry_run:
            self._plan("update", goal.urn, difference.changes)
            kept = old.outputs if provider.foresees_outputs else {}
            return Registered(goal.urn, old.id, without_unknowns({**kept, **wanted.inputs}))
        made = self._steps.update(old, wanted, difference.changes)
        return Registered(made.urn, made.id, made.outputs)

    def _create(self, wanted: Resource, operation: Operation) -> Registered:
        if self._dry_run:
            self._plan(operation, wanted.urn)
            return Registered(wanted.urn, outputs=without_unknowns(wanted.inputs))
        made = self._steps.create(wanted, operation=operation)
        return Registered(made.urn, made.id, made.outputs)

    def _keep(self, old: Resource, wanted: Resource) -> Registered:
        self._display.count("same")
        outputs = mark_secrets(old.outputs, wanted.inputs, wanted.secret_outputs)
        if not self._dry_run:
            self._store.put(replace(wanted, id=old.id, outputs=outputs, created=old.created))
        return Registered(old.urn, old.id, outputs)

    def _replace(self, goal: Goal, old: Resource, wanted: Resource, difference: Difference) -> Registered:
        if old.protect:
            self._refuse(
                goal.urn,
                f"{', '.join(difference.replaces)} cannot change without a replacement, and the "
                "resource is protected; take `protect` off it first",
            )
        if self._dry_run:
            self._plan("replace", goal.urn, difference.replaces)
            return Registered(goal.urn, outputs=without_unknowns(wanted.inputs))
        first = goal.delete_before_replace
        if first if first is not None else difference.delete_before_replace:
            self._delete_ahead(old)
            return self._create(wanted, "replace")
        made = self._steps.create(wanted, replacing=old, operation="replace")
        return Registered(made.urn, made.id, made.outputs)

    def _delete_ahead(self, old: Resource) -> None:
        """Delete it before its replacement is made, and before it the dependents that must be replaced with it."""
        with self._mutex:
            doomed = self._doomed_with(old)
            for one in doomed:
                self._replaced[one.urn] = one
        for one in doomed:
            if one.protect:
                self._refuse(one.urn, f"it must be replaced together with {old.urn}, and it is protected")
        if not delete_in_order(doomed, lambda one: self._steps.delete(one, operation="discard")):
            raise CancelledError

    def _doomed_with(self, old: Resource) -> list[Resource]:
        doomed = [old]
        while True:
            urns = {one.urn for one in doomed}
            more = [one for one in self._store.resources() if one.urn not in urns and self._falls_with(one, urns)]
            if not more:
                return doomed
            doomed += more

    def _falls_with(self, one: Resource, urns: set[str]) -> bool:
        """Whether it must be replaced once the outputs of those resources are no longer known."""
        if one.delete or not one.custom or one.urn in self._registered:
            return False
        touched = [key for key, found in one.property_dependencies.items() if urns.intersection(found)]
        inputs = {**one.inputs, **dict.fromkeys((key for key in touched if key in one.inputs), UNKNOWN)}
        if not touched:
            return False
        provider = self._steps.providers.get(one.type)
        return bool(provider.diff(one.type, one.id, one.inputs, one.outputs, inputs).replaces)

    def _plan(self, operation: Operation, urn: str, names: Iterable[str] = ()) -> None:
        if operation != "same":
            detail = ", ".join(names)
            self._display.begin(operation, urn, f"[{detail}]" if detail else "")
        self._display.count(operation)

    def _refuse(self, urn: str, message: str) -> NoReturn:
        self._steps.stopped.set()
        self._display.error(message, urn)
        raise ResourceError(urn, message)


def _resource_of(goal: Goal, inputs: Properties) -> Resource:
    return Resource(
        urn=goal.urn,
        type=goal.type,
        custom=goal.custom,
        inputs=inputs,
        parent=goal.parent,
        dependencies=goal.dependencies,
        property_dependencies=goal.property_dependencies,
        protect=goal.protect,
        retain_on_delete=goal.retain_on_delete,
        deleted_with=goal.deleted_with,
        secret_outputs=goal.secret_outputs,
        hooks=goal.hooks,
    )


def _with_forced_replacement(difference: Difference, goal: Goal, old: Resource, wanted: Resource) -> Difference:
    """`replace_on_changes` makes a change of the properties it names a replacement."""
    if not goal.replace_on_changes:
        return difference
    changed = changed_names(old.inputs, wanted.inputs)
    heads = {parse_path(text)[0] for text in goal.replace_on_changes}
    forced = tuple(name for name in changed if name in heads or "*" in heads)
    replaces = tuple(dict.fromkeys((*difference.replaces, *forced)))
    return replace(difference, changes=difference.changes or forced, replaces=replaces)
