"""Resource hooks: functions of the program, called back over gRPC before and after a step on a resource."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import grpc
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from localcloud.engine.urns import name_of, type_of
from localcloud.engine.values import to_struct

When = Literal[
    "before_create", "after_create", "before_update", "after_update", "before_delete", "after_delete", "on_error"
]
WHENS: Final[tuple[When, ...]] = (
    "before_create",
    "after_create",
    "before_update",
    "after_update",
    "before_delete",
    "after_delete",
    "on_error",
)


class HookError(Exception):
    """A hook failed; the text names the hook and what it said."""


@dataclass(frozen=True, slots=True)
class HookCall:
    """What a hook is told. What does not apply to the step is None."""

    urn: str
    id: str
    new_inputs: Mapping[str, Any] | None = None
    old_inputs: Mapping[str, Any] | None = None
    new_outputs: Mapping[str, Any] | None = None
    old_outputs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Hook:
    target: str
    token: str
    on_dry_run: bool
    ignore_errors: bool


class Hooks:
    """The hooks that the program has registered in this run. Thread-safe; hooks run concurrently, as steps do."""

    def __init__(self, *, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._hooks: dict[str, _Hook] = {}
        self._stubs: dict[str, Any] = {}
        self._mutex = threading.Lock()

    def register(self, request: resource_pb2.RegisterResourceHookRequest) -> None:
        """Raises HookError on a name that is taken, as Pulumi does."""
        hook = _Hook(request.callback.target, request.callback.token, request.on_dry_run, request.ignore_errors)
        self._add(request.name, hook)

    def register_error_hook(self, request: resource_pb2.RegisterErrorHookRequest) -> None:
        self._add(request.name, _Hook(request.callback.target, request.callback.token, False, False))

    def _add(self, name: str, hook: _Hook) -> None:
        with self._mutex:
            if name in self._hooks:
                msg = f"resource hook already registered for name {name!r}"
                raise HookError(msg)
            self._hooks[name] = hook

    def run(self, names: Sequence[str], when: When, call: HookCall) -> list[str]:
        """Run hooks in order; warnings of those that ignore their errors. Raises HookError at the first failure."""
        warnings: list[str] = []
        for name in names:
            hook = self._get(name)
            if self._dry_run and not hook.on_dry_run:
                continue
            said = self._invoke(hook, _request(call))
            if not said:
                continue
            text = f"{when.replace('_', ' ')} hook {name!r} failed: {said}"
            if not hook.ignore_errors:
                raise HookError(text)
            warnings.append(text)
        return warnings

    def wants_retry(self, names: Sequence[str], operation: str, errors: Sequence[str], call: HookCall) -> bool:
        """Ask every on_error hook; one that says so makes the step be tried again. Raises HookError."""
        retry = False
        for name in names:
            hook = self._get(name)
            request = resource_pb2.ErrorHookRequest(
                urn=call.urn,
                id=call.id,
                name=name_of(call.urn),
                type=type_of(call.urn),
                failed_operation=operation,
                errors=list(errors),
                **_structs(call, ("new_outputs",)),
            )
            answer = resource_pb2.ErrorHookResponse.FromString(self._call(hook, request.SerializeToString()))
            if answer.error:
                msg = f"error hook {name!r} failed: {answer.error}"
                raise HookError(msg)
            retry = retry or answer.retry
        return retry

    def _get(self, name: str) -> _Hook:
        with self._mutex:
            hook = self._hooks.get(name)
        if hook is None:
            msg = f"hook {name!r} was not registered: the program that has it did not run, or has it no longer"
            raise HookError(msg)
        return hook

    def _invoke(self, hook: _Hook, request: resource_pb2.ResourceHookRequest) -> str:
        return resource_pb2.ResourceHookResponse.FromString(self._call(hook, request.SerializeToString())).error

    def _call(self, hook: _Hook, request: bytes) -> bytes:
        try:
            return (
                self._stub(hook.target)
                .Invoke(callback_pb2.CallbackInvokeRequest(token=hook.token, request=request))
                .response
            )
        except grpc.RpcError as error:
            raise HookError((error.details() or str(error)).strip()) from None

    def _stub(self, target: str) -> Any:
        with self._mutex:
            if target not in self._stubs:
                channel = grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)])
                self._stubs[target] = callback_pb2_grpc.CallbacksStub(channel)
            return self._stubs[target]


def _request(call: HookCall) -> resource_pb2.ResourceHookRequest:
    return resource_pb2.ResourceHookRequest(
        urn=call.urn, id=call.id, name=name_of(call.urn), type=type_of(call.urn), **_structs(call, ())
    )


def _structs(call: HookCall, leave_out: Sequence[str]) -> dict[str, Any]:
    names = ("new_inputs", "old_inputs", "new_outputs", "old_outputs")
    given = {name: getattr(call, name) for name in names if name not in leave_out}
    return {name: to_struct(value) for name, value in given.items() if value is not None}
