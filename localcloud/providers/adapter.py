"""The adapter between Pulumi's provider API and the backends, which use plain data and tables of resource types."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from pulumi.provider.experimental.provider import (
    CheckFailure,
    CheckRequest,
    CheckResponse,
    ConfigureRequest,
    ConfigureResponse,
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    PropertyDiff,
    PropertyDiffKind,
    Provider,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)

from localcloud.providers.difference import Kind, compare
from localcloud.providers.errors import PartialError, ProviderError, UnseenError
from localcloud.providers.schema import Property, Schema
from localcloud.providers.values import Properties, has_unknown, to_plain, to_values

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")

# A call from the engine can take minutes; the engine limits the number of parallel calls (`--parallel`).
_THREADS: Final = 64
_KINDS: Final = {
    (Kind.ADD, False): PropertyDiffKind.ADD,
    (Kind.ADD, True): PropertyDiffKind.ADD_REPLACE,
    (Kind.DELETE, False): PropertyDiffKind.DELETE,
    (Kind.DELETE, True): PropertyDiffKind.DELETE_REPLACE,
    (Kind.UPDATE, False): PropertyDiffKind.UPDATE,
    (Kind.UPDATE, True): PropertyDiffKind.UPDATE_REPLACE,
}


@dataclass(frozen=True, slots=True)
class Created:
    """A created resource. The outputs may omit the inputs."""

    id: str
    outputs: Properties


class Backend(Protocol):
    """The operations of a provider. Inputs are plain and complete. Methods are called from several threads."""

    @property
    def schemas(self) -> Mapping[str, Schema]: ...

    def configure(self, config: Mapping[str, str]) -> None:
        """Raises: ProviderError if the configuration is invalid."""
        ...

    def create(self, resource_type: str, inputs: Properties, on_created: Callable[[str], None]) -> Created:
        """Create a resource. Calls `on_created` with the ID as soon as the resource exists, before any wait."""
        ...

    def read(self, resource_type: str, resource_id: str, state: Properties) -> Properties | None:
        """Return the current outputs, or None if the resource does not exist. An import has an empty state."""
        ...

    def update(
        self, resource_type: str, resource_id: str, state: Properties, inputs: Properties, changed: frozenset[str]
    ) -> Properties:
        """Change the properties in `changed`. If it is empty, complete an interrupted create. Returns the outputs."""
        ...

    def delete(self, resource_type: str, resource_id: str, state: Properties) -> None:
        """Delete the resource. Succeeds if it does not exist."""
        ...


class Adapter(Provider):
    """A provider. It does not pass unknown values to `create` and `update` of the backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._threads = ThreadPoolExecutor(_THREADS)

    async def configure(self, request: ConfigureRequest) -> ConfigureResponse:
        given = to_plain(request.args)
        self._backend.configure({key: value for key, value in given.items() if isinstance(value, str)})
        # Without `accept_secrets`, the engine sends plain values and marks secret outputs.
        return ConfigureResponse(supports_preview=True)

    async def check(self, request: CheckRequest) -> CheckResponse:
        schema, given = self._schema(_type(request.urn)), to_plain(request.new_inputs)
        described = schema.properties
        inputs = _with_defaults(described, given)
        failures = [
            CheckFailure(name, f"{name} is required by {_type(request.urn)}")
            for name, one in described.items()
            if one.required and name not in inputs
        ]
        failures += [
            CheckFailure(
                name,
                f"{name} of {_type(request.urn)} is not emulated by the localcloud provider; use the real provider",
            )
            for name in inputs
            if name not in described
        ]
        reason = None if failures or has_unknown(inputs) else schema.check(inputs)
        if reason:
            failures.append(CheckFailure("", reason))
        return CheckResponse(inputs=to_values(inputs), failures=failures)

    async def diff(self, request: DiffRequest) -> DiffResponse:
        changes = compare(self._schema(_type(request.urn)), to_plain(request.old_state), to_plain(request.new_inputs))
        return DiffResponse(
            changes=bool(changes),
            replaces=sorted({change.name for change in changes if change.replaces}),
            # As in Pulumi's Terraform bridge: an explicit name can be in use until the old resource is deleted.
            delete_before_replace=any(change.replaces for change in changes) and "name" in request.new_inputs,
            diffs=sorted({change.name for change in changes}),
            detailed_diff={
                change.path: PropertyDiff(_KINDS[change.kind, change.replaces], input_diff=False) for change in changes
            },
        )

    async def create(self, request: CreateRequest) -> CreateResponse:
        schema, inputs = self._schema(_type(request.urn)), to_plain(request.properties)
        if request.preview:
            return CreateResponse("", to_values(inputs, schema.secrets))
        known: list[str] = []
        try:
            created = await self._run(self._backend.create, _type(request.urn), inputs, known.append)
        except ProviderError as error:
            if not known or isinstance(error, UnseenError):
                raise
            raise PartialError(str(error), known[0], {**inputs, "id": known[0]}, inputs) from error
        return CreateResponse(created.id, to_values({**inputs, **created.outputs, "id": created.id}, schema.secrets))

    async def read(self, request: ReadRequest) -> ReadResponse:
        schema, state, inputs = self._schema(_type(request.urn)), to_plain(request.properties), to_plain(request.inputs)
        found = await self._run(self._backend.read, _type(request.urn), request.resource_id, {**inputs, **state})
        if found is None:
            return ReadResponse()
        outputs = {**_unread(schema, inputs), **found, "id": request.resource_id}
        return ReadResponse(
            request.resource_id, to_values(outputs, schema.secrets), to_values(_as_inputs(schema, outputs, inputs))
        )

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        schema, state, inputs = self._schema(_type(request.urn)), to_plain(request.olds), to_plain(request.news)
        if request.preview:
            return UpdateResponse(to_values({**state, **inputs}, schema.secrets))
        changed = frozenset(change.name for change in compare(schema, state, inputs))
        try:
            outputs = await self._run(
                self._backend.update, _type(request.urn), request.resource_id, state, inputs, changed
            )
        except ProviderError as error:
            raise await self._partial_update(request, state, inputs, error) from error
        return UpdateResponse(to_values({**inputs, **outputs, "id": request.resource_id}, schema.secrets))

    async def delete(self, request: DeleteRequest) -> None:
        await self._run(self._backend.delete, _type(request.urn), request.resource_id, to_plain(request.properties))

    async def _partial_update(
        self, request: UpdateRequest, state: Properties, inputs: Properties, error: ProviderError
    ) -> ProviderError:
        """Return an error with the current state, because some changes may have been made."""
        try:
            found = await self._run(self._backend.read, _type(request.urn), request.resource_id, state)
        except ProviderError:
            return error
        if found is None:
            return error
        return PartialError(str(error), request.resource_id, {**state, **found}, inputs)

    async def _run(
        self, function: Callable[_Given, _Answer], *arguments: _Given.args, **named: _Given.kwargs
    ) -> _Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*arguments, **named))

    def _schema(self, resource_type: str) -> Schema:
        schema = self._backend.schemas.get(resource_type)
        if schema is None:
            known = ", ".join(sorted(self._backend.schemas))
            raise ProviderError(
                f"{resource_type} is not emulated by the localcloud provider\n  supported types: {known}"
            )
        return schema


def _type(urn: str) -> str:
    """Return the type in the URN, such as `tencentcloud:Ha/vip:Vip`, without the types of its parents."""
    return urn.split("::")[2].rpartition("$")[2]


def _with_defaults(described: Mapping[str, Property], given: Properties) -> Properties:
    inputs = {name: one.default for name, one in described.items() if one.default is not None} | given
    for name, one in described.items():
        value = inputs.get(name)
        if one.nested and isinstance(value, list):
            inputs[name] = [_with_defaults(one.nested, item) if isinstance(item, dict) else item for item in value]
    return inputs


def _unread(schema: Schema, inputs: Properties) -> Properties:
    """Return the inputs that the schema describes.

    The API does not return all of them (user data, for example), so the state keeps them.
    """
    return {name: value for name, value in inputs.items() if name in schema.properties}


def _as_inputs(schema: Schema, outputs: Properties, given: Properties) -> Properties:
    """Return the inputs with their current values; for an import, all inputs that have a value."""
    names = given or {name: value for name, value in outputs.items() if name in schema.properties and value}
    return {
        name: _only_given(schema.properties.get(name, Property()), outputs.get(name), given.get(name))
        for name in names
        if outputs.get(name) is not None
    }


def _only_given(described: Property, found: Any, given: Any) -> Any:
    """Remove the parts of objects that only the cloud sets."""
    if isinstance(found, Mapping) and described.nested:
        return {
            name: _only_given(described.nested[name], value, (given or {}).get(name))
            for name, value in found.items()
            if name in described.nested and (name in (given or {}) or (not described.nested[name].computed and value))
        }
    if isinstance(found, list):
        before = given if isinstance(given, list) else []
        return [
            _only_given(described, item, before[index] if index < len(before) else None)
            for index, item in enumerate(found)
        ]
    return found
