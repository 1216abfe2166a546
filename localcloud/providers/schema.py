"""What is to be known of a resource type's inputs, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from localcloud.providers.values import Properties


@dataclass(frozen=True, slots=True)
class Property:
    """One input. Names are those of the Pulumi SDK's wire format."""

    required: bool = False
    replaces: bool = False  # a change replaces the resource
    computed: bool = False  # the cloud fills it in: leaving it out changes nothing
    unordered: bool = False  # a list that is a set
    default: Any = None  # what Check fills in
    implied: Any = None  # what leaving it out means, without being filled in
    normal: Callable[[Any], Any] | None = None  # the form in which the state keeps the value
    nested: Mapping[str, Property] = field(default_factory=dict[str, "Property"])  # of an object, or of each list item


OPTIONAL: Final = Property()
REQUIRED: Final = Property(required=True)
FIXED: Final = Property(required=True, replaces=True)
COMPUTED: Final = Property(computed=True)


def accept(inputs: Properties) -> str | None:
    """For types whose inputs need no further check."""
    del inputs
    return None


@dataclass(frozen=True, slots=True)
class Schema:
    properties: Mapping[str, Property]
    check: Callable[[Properties], str | None] = accept  # why known inputs are refused
    # The property to blame when the resource must be replaced although no input changed; gets the state.
    expired: Callable[[Properties], str | None] | None = None
    secrets: frozenset[str] = frozenset()  # outputs that are always secret
