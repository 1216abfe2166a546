"""Schemas of the inputs of resource types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from localcloud.providers.values import Properties


@dataclass(frozen=True, slots=True)
class Property:
    """One input. Names are those of the wire format of the Pulumi SDK."""

    required: bool = False
    replaces: bool = False  # a change replaces the resource
    computed: bool = False  # set by the cloud if absent; removing it changes nothing
    unordered: bool = False  # a list without order
    default: Any = None  # set by Check if absent
    implied: Any = None  # the meaning of an absent value, not set by Check
    normal: Callable[[Any], Any] | None = None  # converts the value to its form in the state
    nested: Mapping[str, Property] = field(default_factory=dict[str, "Property"])  # of an object, or of each list item


OPTIONAL: Final = Property()
REQUIRED: Final = Property(required=True)
FIXED: Final = Property(required=True, replaces=True)
COMPUTED: Final = Property(computed=True)


def accept(_inputs: Properties) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Schema:
    properties: Mapping[str, Property]
    check: Callable[[Properties], str | None] = accept  # returns the reason if known inputs are invalid
    # Returns the property that requires a replacement without a changed input, from the state.
    expired: Callable[[Properties], str | None] | None = None
    secrets: frozenset[str] = frozenset()  # outputs that are always secret
