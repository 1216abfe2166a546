"""Steps: one thing done to one resource, with its hooks, its lines on the screen and its write to the state."""

from __future__ import annotations

import base64
import os
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from localcloud.engine.errors import ResourceError
from localcloud.engine.hooks import HookCall, HookError, Hooks, When
from localcloud.engine.providers.base import Created, CreateRequest, ProviderError
from localcloud.engine.state import PendingCreate, Resource, StateStore, now
from localcloud.engine.urns import name_of
from localcloud.engine.values import mark_secrets

if TYPE_CHECKING:
    from localcloud.engine.display import Display, Operation
    from localcloud.engine.providers.registry import Providers
    from localcloud.engine.values import Properties

_Result = TypeVar("_Result")


class Activity:
    """Counts the steps that are at work: a run that stops waits for them."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._working = 0

    def __enter__(self) -> None:
        with self._condition:
            self._working += 1

    def __exit__(self, *error: object) -> None:
        with self._condition:
            self._working -= 1
            self._condition.notify_all()

    def wait_until_idle(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._working == 0)


class CancelledError(Exception):
    """Another step failed, or the person asked to stop: nothing new is begun."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Does steps. Every method may be called from any thread, for different resources at once.

    All raise ResourceError, which has been shown by then, and CancelledError.
    """

    store: StateStore
    providers: Providers
    hooks: Hooks
    display: Display
    stopped: threading.Event
    activity: Activity = field(default_factory=Activity)

    def create(
        self, wanted: Resource, *, replacing: Resource | None = None, operation: Operation = "create"
    ) -> Resource:
        """Make `wanted` (its id and outputs are still empty); what it replaces stays known, to be deleted later."""
        call = HookCall(wanted.urn, "", new_inputs=wanted.inputs)

        def act() -> Resource:
            return self._create_custom(wanted, replacing) if wanted.custom else self.store.put(wanted)

        with self._step(operation, wanted, "before_create", call):
            made = self._attempt(operation, wanted, call, act)
            self._after(made, "after_create", replace(call, id=made.id, new_outputs=made.outputs))
        return made

    def _create_custom(self, wanted: Resource, replacing: Resource | None) -> Resource:
        token = base64.b64encode(os.urandom(16)).decode()
        self.store.begin_create(PendingCreate(wanted, token, now()))

        def made(resource_id: str) -> None:
            self.store.put(replace(wanted, id=resource_id, unsettled=True), replacing=replacing)

        request = CreateRequest(wanted.type, name_of(wanted.urn), wanted.inputs, token, made)
        try:
            created = self.providers.get(wanted.type).create(request)
        except ProviderError as error:
            if not error.uncertain:
                self.store.drop_pending([wanted.urn])
            raise
        return self.store.put(_with_outputs(wanted, created), replacing=replacing)

    def settle(self, unsettled: Resource) -> Resource | None:
        """Finish a create that an earlier run was cut off in; None when what it made is gone or will never be ready."""
        self._begin("adopt", unsettled.urn)
        provider = self.providers.get(unsettled.type)
        with self.activity:
            try:
                outputs = provider.settle(unsettled.type, unsettled.id, unsettled.inputs)
            except ProviderError as error:
                self.display.warning(f"what an earlier run made ({unsettled.id}) is not usable: {error}", unsettled.urn)
                self.delete(unsettled)
                return None
            if outputs is None:
                self.store.remove(unsettled)
                return None
            settled = replace(unsettled, unsettled=False)
            settled = self.store.put(_with_outputs(settled, Created(unsettled.id, outputs)))
        self.display.done("adopt", unsettled.urn)
        return settled

    def update(self, old: Resource, wanted: Resource, changes: tuple[str, ...]) -> Resource:
        call = HookCall(old.urn, old.id, new_inputs=wanted.inputs, old_inputs=old.inputs, old_outputs=old.outputs)

        def act() -> Resource:
            provider = self.providers.get(old.type)
            outputs = provider.update(old.type, old.id, old.inputs, old.outputs, wanted.inputs)
            return self.store.put(_with_outputs(replace(wanted, created=old.created), Created(old.id, outputs)))

        with self._step("update", wanted, "before_update", call, f"[{', '.join(changes)}]"):
            made = self._attempt("update", wanted, call, act)
            self._after(made, "after_update", replace(call, new_outputs=made.outputs))
        return made

    def delete(self, old: Resource, *, keep: bool = False, operation: Operation = "delete") -> None:
        """Delete it; with `keep`, only forget it (retain_on_delete, deleted_with)."""
        call = HookCall(old.urn, old.id, old_inputs=old.inputs, old_outputs=old.outputs)

        def act() -> None:
            if old.custom and not keep and not old.retain_on_delete:
                self.providers.get(old.type).delete(old.type, old.id, old.inputs, old.outputs)
            self.store.remove(old)

        with self._step(operation, old, "before_delete", call):
            self._attempt(operation, old, call, act)
            self._after(old, "after_delete", call)

    @contextmanager
    def _step(
        self, operation: Operation, resource: Resource, before: When, call: HookCall, detail: str = ""
    ) -> Generator[None]:
        """The step's begin, its before hooks, and its end; inside, it is at work."""
        self._begin(operation, resource.urn, detail)
        try:
            self._hook(resource, before, call)
        except HookError as error:
            if self.stopped.is_set():
                # The program goes when a step has failed, and its hooks with it.
                raise self._not_begun(operation, resource) from None
            raise self._failed(operation, resource, str(error)) from None
        with self.activity:
            # What waited in its hook while another step failed is not begun any more.
            if self.stopped.is_set():
                raise self._not_begun(operation, resource)
            yield
        self.display.done(operation, resource.urn)

    def _begin(self, operation: Operation, urn: str, detail: str = "") -> None:
        if self.stopped.is_set():
            raise CancelledError
        self.display.begin(operation, urn, detail)

    def _not_begun(self, operation: Operation, resource: Resource) -> CancelledError:
        self.display.not_begun(operation, resource.urn)
        return CancelledError()

    def _attempt(self, operation: Operation, resource: Resource, call: HookCall, act: Callable[[], _Result]) -> _Result:
        errors: list[str] = []
        while True:
            try:
                return act()
            except ProviderError as error:
                errors.insert(0, str(error))
            except Exception as error:
                frame = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{Path(frame.filename).name}:{frame.lineno}"
                raise self._failed(operation, resource, f"{type(error).__name__}: {error} ({where})") from error
            if self.stopped.is_set() or not self._retry(operation, resource, errors, call):
                raise self._failed(operation, resource, errors[0])

    def _retry(self, operation: Operation, resource: Resource, errors: list[str], call: HookCall) -> bool:
        try:
            return self.hooks.wants_retry(resource.hooks.get("on_error", ()), operation, errors, call)
        except HookError as error:
            self.display.warning(str(error), resource.urn)
            return False

    def _failed(self, operation: Operation, resource: Resource, message: str) -> ResourceError:
        self.stopped.set()
        self.display.failed(operation, resource.urn, message)
        return ResourceError(resource.urn, message)

    def _hook(self, resource: Resource, when: When, call: HookCall) -> None:
        for warning in self.hooks.run(resource.hooks.get(when, ()), when, call):
            self.display.warning(warning, resource.urn)

    def _after(self, resource: Resource, when: When, call: HookCall) -> None:
        """The step is done, and the state says so: a failing after hook can only be told."""
        try:
            self._hook(resource, when, call)
        except HookError as error:
            self.display.warning(str(error), resource.urn)


def _with_outputs(wanted: Resource, created: Created) -> Resource:
    outputs: Properties = mark_secrets(created.outputs, wanted.inputs, wanted.secret_outputs)
    return replace(wanted, id=created.id, outputs=outputs)
