"""Comparison of the state of a resource with new inputs, as in Pulumi's Terraform bridge.

The state has the values of the last read, so a resource that was changed outside Pulumi differs after a refresh.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from localcloud.providers.schema import Property, Schema
from localcloud.providers.values import Properties

_PLAIN: Final = Property()


class Kind(Enum):
    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Change:
    path: str  # tags.owner, ingresses[0].port
    kind: Kind
    replaces: bool

    @property
    def name(self) -> str:
        return self.path.split(".", 1)[0].split("[", 1)[0]


def compare(schema: Schema, state: Properties, inputs: Properties) -> list[Change]:
    changes = [
        change
        for name, described in sorted(schema.properties.items())
        for change in _compare(name, described, state.get(name), inputs.get(name), replaces=described.replaces)
    ]
    blamed = schema.expired({**state, **inputs}) if schema.expired else None
    return [*changes, Change(blamed, Kind.UPDATE, replaces=True)] if blamed else changes


def _compare(path: str, described: Property, old: Any, given: Any, *, replaces: bool) -> Iterator[Change]:
    new = described.implied if given is None else given
    if new is None:
        # A value set by the cloud and an empty value are equal to an absent one.
        if not described.computed and not _is_empty(old):
            yield Change(path, Kind.DELETE, replaces)
    elif _is_empty(old):
        if not _is_empty(new):
            yield Change(path, Kind.ADD if old in (None, [], {}) else Kind.UPDATE, replaces)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new} if not described.nested else described.nested):
            inner = described.nested.get(key, _PLAIN)
            yield from _compare(
                f"{path}{_key(key)}", inner, old.get(key), new.get(key), replaces=replaces or inner.replaces
            )
    elif isinstance(old, list) and isinstance(new, list) and not described.unordered:
        item = Property(nested=described.nested)
        for index in range(max(len(old), len(new))):
            yield from _compare(f"{path}[{index}]", item, _at(old, index), _at(new, index), replaces=replaces)
    elif not _equal(old, described.normal(new) if described.normal else new, unordered=described.unordered):
        yield Change(path, Kind.UPDATE, replaces)


def _equal(old: Any, new: Any, *, unordered: bool) -> bool:
    if unordered and isinstance(old, list) and isinstance(new, list):
        return sorted(map(str, old)) == sorted(map(str, new))
    return old == new


def _is_empty(value: Any) -> bool:
    return value in (None, "", 0, False) or value in ([], {})


def _at(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else None


def _key(key: str) -> str:
    return f".{key}" if key.replace("_", "").isalnum() else f'["{key}"]'
