"""What the engine asks of a provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from localcloud.engine.comparison import Difference
from localcloud.engine.values import Properties


class ProviderError(Exception):
    """A provider refuses or failed; the text is for the person.

    `uncertain` says that no answer came: what was asked for may have been done.
    """

    def __init__(self, message: str, *, uncertain: bool = False) -> None:
        super().__init__(message)
        self.uncertain = uncertain


@dataclass(frozen=True, slots=True)
class Created:
    """A `create` that came back."""

    id: str
    outputs: Properties


@dataclass(frozen=True, slots=True)
class CreateRequest:
    type: str
    name: str
    inputs: Properties
    token: str  # the same at every attempt to make this one resource
    made: Callable[[str], None]  # to be told the id as soon as the resource exists, before waiting for anything


class Provider(Protocol):
    """Inputs and outputs may hold secrets; a provider that does not care reveals them."""

    # Whether outputs that are not inputs stay what they were through an update; where they may not, a preview
    # shows what depends on them as changing too.
    foresees_outputs: bool

    def check(self, resource_type: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Properties:
        """New inputs with defaults filled in. Raises ProviderError."""
        ...

    def diff(
        self,
        resource_type: str,
        resource_id: str,
        old: Mapping[str, Any],
        outputs: Mapping[str, Any],
        new: Mapping[str, Any],
    ) -> Difference: ...

    def create(self, request: CreateRequest) -> Created: ...

    def find(self, resource_type: str, inputs: Properties, token: str, known: frozenset[str]) -> str | None:
        """The id of what a cut-off `create` with these inputs made, if it made anything; never one of `known`."""
        ...

    def settle(self, resource_type: str, resource_id: str, inputs: Properties) -> Properties | None:
        """Finish what a cut-off `create` began, once its id is known; outputs, or None when it is gone."""
        ...

    def read(self, resource_type: str, resource_id: str, inputs: Properties, outputs: Properties) -> Properties | None:
        """Outputs as they are now; None when it is gone."""
        ...

    def update(
        self, resource_type: str, resource_id: str, old: Properties, outputs: Properties, new: Properties
    ) -> Properties: ...

    def delete(self, resource_type: str, resource_id: str, inputs: Properties, outputs: Properties) -> None:
        """Succeeds when it is gone already."""
        ...

    def close(self) -> None: ...
