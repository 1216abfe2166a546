"""The known differences between the plugins of localcloud and the real ones. docs/providers.md lists them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any


@dataclass(frozen=True)
class Difference:
    types: str  # a pattern of resource types
    path: tuple[str, ...]  # patterns of the keys that lead to the difference
    reason: str

    def without(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return the record of one resource without the difference."""
        if not fnmatch(record["type"], self.types):
            return record
        left = copy.deepcopy(record)
        _remove(left, self.path)
        return left


def _remove(value: Any, path: tuple[str, ...]) -> None:
    if not isinstance(value, dict):
        return
    for key in [key for key in value if fnmatch(key, path[0])]:
        if len(path) == 1:
            del value[key]
        else:
            _remove(value[key], path[1:])


KNOWN = (
    Difference(
        "[rt][al]*",
        ("stages", "*", "differences"),
        "The real random and tls plugins report which inputs changed, without the path inside them; localcloud's also "
        "report the path.",
    ),
)
