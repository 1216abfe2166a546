"""Plain Python data from and to Pulumi's property values.

Secrets need no marks here: a provider that does not accept them gets plain values, and the engine marks as secret each
output whose input is. What is secret only as an output is named in the resource's schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.rpc import UNKNOWN as _UNKNOWN

Properties = dict[str, Any]

UNKNOWN: Final = _UNKNOWN  # stands for a value that only the real run brings


def to_plain(properties: Mapping[str, PropertyValue]) -> Properties:
    """Null is the same as absent."""
    plain = {key: _plain(value) for key, value in properties.items()}
    return {key: value for key, value in plain.items() if value is not None}


def _plain(value: PropertyValue) -> Any:
    inner = value.value
    if isinstance(inner, Mapping):
        return to_plain(inner)
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        return [_plain(item) for item in inner]
    # The wire knows only doubles; a whole number is compared and sent as the integer that the program wrote.
    return int(inner) if isinstance(inner, float) and inner.is_integer() else inner


def to_values(properties: Mapping[str, Any], secrets: frozenset[str] = frozenset()) -> dict[str, PropertyValue]:
    return {key: _value(value).with_secret(key in secrets) for key, value in properties.items()}


def _value(value: Any) -> PropertyValue:
    if isinstance(value, Mapping):
        return PropertyValue({key: _value(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return PropertyValue([_value(item) for item in value])
    return PropertyValue(float(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(has_unknown(item) for item in value)
    return value == UNKNOWN
