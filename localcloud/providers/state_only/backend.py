"""The backend of resource types that exist only in the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from localcloud.providers.adapter import Created
from localcloud.providers.errors import ProviderError
from localcloud.providers.schema import Schema
from localcloud.providers.values import Properties


@dataclass(frozen=True, slots=True)
class StateOnlyType:
    schema: Schema
    make: Callable[[Properties], Created]  # from inputs with implied values; the outputs may omit the inputs


class StateOnlyBackend:
    def __init__(self, types: Mapping[str, StateOnlyType]) -> None:
        self._types = types

    @property
    def schemas(self) -> Mapping[str, Schema]:
        return {name: described.schema for name, described in self._types.items()}

    def configure(self, config: Mapping[str, str]) -> None:
        del config

    def create(self, resource_type: str, inputs: Properties, on_created: Callable[[str], None]) -> Created:
        del on_created  # the resource does not exist until this function returns
        complete = {**self._implied(resource_type), **inputs}
        created = self._types[resource_type].make(complete)
        return Created(created.id, {**complete, **created.outputs})

    def read(self, resource_type: str, resource_id: str, state: Properties) -> Properties | None:
        if not state:
            raise ProviderError(
                f"{resource_type} {resource_id} cannot be imported: it exists only in the state of a stack"
            )
        return state

    def update(
        self, resource_type: str, resource_id: str, state: Properties, inputs: Properties, changed: frozenset[str]
    ) -> Properties:
        del resource_id
        kept = {name: value for name, value in state.items() if name not in changed}
        return {**kept, **self._implied(resource_type), **inputs}

    def delete(self, resource_type: str, resource_id: str, state: Properties) -> None:
        del resource_type, resource_id, state

    def _implied(self, resource_type: str) -> Properties:
        described = self._types[resource_type].schema.properties
        return {name: one.implied for name, one in described.items() if one.implied is not None}
