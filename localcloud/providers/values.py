"""Conversion between plain Python data and Pulumi's property values.

Secrets need no marks here. A provider that does not accept secrets gets plain values, and the engine marks each output
whose input is secret. The schema lists outputs that are always secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.rpc import UNKNOWN as _UNKNOWN

Properties = dict[str, Any]

UNKNOWN: Final = _UNKNOWN  # a value that is not known until the update


def to_plain(properties: Mapping[str, PropertyValue]) -> Properties:
    """Convert property values. Null is equal to absent."""
    plain = {key: _plain(value) for key, value in properties.items()}
    return {key: value for key, value in plain.items() if value is not None}


def _plain(value: PropertyValue) -> Any:
    inner = value.value
    if isinstance(inner, Mapping):
        return to_plain(inner)
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        return [_plain(item) for item in inner]
    # The wire format has only doubles; whole numbers are converted back to integers.
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
