"""Resource types whose whole existence is in the state: random values, keys, certificates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.engine.comparison import Difference, changed_names
from localcloud.engine.providers.base import Created, CreateRequest, ProviderError
from localcloud.engine.values import Properties, has_unknown, reveal


@dataclass(frozen=True, slots=True)
class LocalType:
    """One resource type. A change of any input replaces it, save those named `in_place`."""

    make: Callable[[Properties], Created]  # from plain inputs; outputs need not repeat the inputs
    required: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    in_place: frozenset[str] = frozenset()
    # Why it must be replaced although no input changed, as the name of the property to blame.
    expired: Callable[[Properties], str | None] | None = None


class LocalProvider:
    foresees_outputs = True

    def __init__(self, types: Mapping[str, LocalType]) -> None:
        self._types = types

    def check(self, resource_type: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Properties:
        del old
        described = self._get(resource_type)
        missing = [name for name in described.required if new.get(name) is None]
        if missing:
            msg = f"missing required property: {', '.join(missing)}"
            raise ProviderError(msg)
        return {key: value for key, value in new.items() if value is not None}

    def diff(
        self,
        resource_type: str,
        resource_id: str,
        old: Mapping[str, Any],
        outputs: Mapping[str, Any],
        new: Mapping[str, Any],
    ) -> Difference:
        del resource_id
        described = self._get(resource_type)
        changes = changed_names({**described.defaults, **old}, {**described.defaults, **new})
        replaces = tuple(name for name in changes if name not in described.in_place)
        blamed = described.expired(reveal({**outputs, **new})) if described.expired and not has_unknown(new) else None
        if blamed:
            replaces = (*replaces, blamed)
        return Difference(tuple(dict.fromkeys((*changes, *replaces))), replaces)

    def create(self, request: CreateRequest) -> Created:
        described = self._get(request.type)
        inputs = {**described.defaults, **request.inputs}
        made = described.make(reveal(inputs))
        return Created(made.id, {**inputs, **made.outputs})

    def find(self, resource_type: str, inputs: Properties, token: str, known: frozenset[str]) -> str | None:
        # A create that was cut off left nothing: there is no world outside the state.
        del resource_type, inputs, token, known
        return None

    def settle(self, resource_type: str, resource_id: str, inputs: Properties) -> Properties | None:
        del resource_type, resource_id, inputs
        return None

    def read(self, resource_type: str, resource_id: str, inputs: Properties, outputs: Properties) -> Properties | None:
        del resource_type, resource_id, inputs
        return outputs

    def update(
        self, resource_type: str, resource_id: str, old: Properties, outputs: Properties, new: Properties
    ) -> Properties:
        del resource_id, old
        return {**outputs, **self._get(resource_type).defaults, **new}

    def delete(self, resource_type: str, resource_id: str, inputs: Properties, outputs: Properties) -> None:
        del resource_type, resource_id, inputs, outputs

    def close(self) -> None:
        pass

    def _get(self, resource_type: str) -> LocalType:
        described = self._types.get(resource_type)
        if described is None:
            msg = f"{resource_type} is not known to localcloud's engine (it has: {', '.join(sorted(self._types))})"
            raise ProviderError(msg)
        return described
