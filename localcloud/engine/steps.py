"""Steps: one thing done to one resource, with its hooks, its lines on the screen and its write to the state."""

from __future__ import annotations

import base64
import os
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
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

    def create(
        self, wanted: Resource, *, replacing: Resource | None = None, operation: Operation = "create"
    ) -> Resource:
        """Make `wanted` (its id and outputs are still empty); what it replaces stays known, to be deleted later."""
        self._begin(operation, wanted.urn)
        call = HookCall(wanted.urn, "", new_inputs=wanted.inputs)

        def act() -> Resource:
            self._hook(wanted, "before_create", call)
            if not wanted.custom:
                return self.store.put(wanted)
            return self._create_custom(wanted, replacing)

        made = self._attempt(operation, wanted, call, act)
        self._after(made, "after_create", replace_call(call, made))
        self.display.done(operation, wanted.urn)
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
        try:
            outputs = provider.settle(unsettled.type, unsettled.id, unsettled.inputs)
        except ProviderError as error:
            self.display.warning(f"what an earlier run made ({unsettled.id}) is not usable: {error}", unsettled.urn)
            self.delete(unsettled)
            return None
        if outputs is None:
            self.store.remove(unsettled)
            return None
        settled = self.store.put(_with_outputs(replace(unsettled, unsettled=False), Created(unsettled.id, outputs)))
        self.display.done("adopt", unsettled.urn)
        return settled

    def update(self, old: Resource, wanted: Resource, changes: tuple[str, ...]) -> Resource:
        self._begin("update", old.urn, f"[{', '.join(changes)}]")
        call = HookCall(old.urn, old.id, new_inputs=wanted.inputs, old_inputs=old.inputs, old_outputs=old.outputs)

        def act() -> Resource:
            self._hook(wanted, "before_update", call)
            provider = self.providers.get(old.type)
            outputs = provider.update(old.type, old.id, old.inputs, old.outputs, wanted.inputs)
            return self.store.put(_with_outputs(replace(wanted, created=old.created), Created(old.id, outputs)))

        made = self._attempt("update", wanted, call, act)
        self._after(made, "after_update", replace_call(call, made))
        self.display.done("update", old.urn)
        return made

    def delete(self, old: Resource, *, keep: bool = False, operation: Operation = "delete") -> None:
        """Delete it; with `keep`, only forget it (retain_on_delete, deleted_with)."""
        self._begin(operation, old.urn)
        call = HookCall(old.urn, old.id, old_inputs=old.inputs, old_outputs=old.outputs)

        def act() -> None:
            self._hook(old, "before_delete", call)
            if old.custom and not keep and not old.retain_on_delete:
                self.providers.get(old.type).delete(old.type, old.id, old.inputs, old.outputs)
            self.store.remove(old)

        self._attempt(operation, old, call, act)
        self._after(old, "after_delete", call)
        self.display.done(operation, old.urn)

    def _begin(self, operation: Operation, urn: str, detail: str = "") -> None:
        if self.stopped.is_set():
            raise CancelledError
        self.display.begin(operation, urn, detail)

    def _attempt(self, operation: Operation, resource: Resource, call: HookCall, act: Callable[[], _Result]) -> _Result:
        errors: list[str] = []
        while True:
            try:
                return act()
            except HookError as error:
                raise self._failed(operation, resource, str(error)) from None
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


def replace_call(call: HookCall, made: Resource) -> HookCall:
    return replace(call, id=made.id, new_outputs=made.outputs)


def _with_outputs(wanted: Resource, created: Created) -> Resource:
    outputs: Properties = mark_secrets(created.outputs, wanted.inputs, wanted.secret_outputs)
    return replace(wanted, id=created.id, outputs=outputs)
