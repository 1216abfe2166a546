"""What differs between old and new inputs, and which of it is to be ignored."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.engine.values import Properties, reveal

Path = tuple[str | int, ...]
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """What a provider says of old and new: which properties change, and which of them force a replacement."""

    changes: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    delete_before_replace: bool = False

    @property
    def none(self) -> bool:
        return not self.changes and not self.replaces


def changed_names(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of top-level properties whose plain values differ; null is the same as absent."""
    plain_old, plain_new = reveal(old), reveal(new)
    names = sorted({*plain_old, *plain_new})
    return tuple(name for name in names if plain_old.get(name) != plain_new.get(name))


def parse_path(text: str) -> Path:
    """`tags.owner`, `dataDisks[0].size`, `tags["a.b"]`; `*` stands for every element."""
    parts: list[str | int] = []
    for match in re.finditer(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]|([^.\[\]]+)', text):
        quoted, index, name = match.groups()
        if quoted is not None:
            parts.append(quoted.replace('\\"', '"'))
        elif index is not None:
            parts.append(index if index == "*" else int(index))
        else:
            parts.append(name)
    return tuple(parts)


def keep_ignored(old: Mapping[str, Any], new: Mapping[str, Any], ignored: Sequence[str]) -> Properties:
    """New inputs in which every ignored path has its old value (or is absent, as it was)."""
    result: Properties = copy.deepcopy(dict(new))
    for text in ignored:
        _keep(old, result, parse_path(text))
    return result


def _keep(old: Any, new: Any, path: Path) -> None:
    head, rest = path[0], path[1:]
    if head == "*":
        for key in _keys(old) | _keys(new):
            _keep(old, new, (key, *rest))
        return
    before = _get(old, head)
    if rest and before is not _MISSING and _get(new, head) is not _MISSING:
        _keep(before, _get(new, head), rest)
    elif rest:
        return
    elif before is not _MISSING:
        _set(new, head, before)
    elif isinstance(new, dict):
        new.pop(head, None)


def _keys(value: Any) -> set[str | int]:
    if isinstance(value, Mapping):
        return set(value)
    return set(range(len(value))) if isinstance(value, list) else set()


def _get(value: Any, key: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(key, _MISSING)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return _MISSING


def _set(value: Any, key: str | int, item: Any) -> None:
    if isinstance(value, list):
        if isinstance(key, int) and key < len(value):
            value[key] = item
    elif isinstance(value, dict):
        value[key] = item
