"""How a dynamic provider tells the engine that inputs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal


def compare(olds: Mapping[str, Any], news: Mapping[str, Any], keys: Sequence[str]) -> Literal[False] | None:
    """Return False if no input differs, else None: the engine then compares the inputs itself.

    A dynamic provider cannot name the paths that differ. If it answers True, a preview shows all unchanged values of
    the resource; if it leaves the answer to the engine, only those that differ.
    """
    return None if any(olds.get(key) != news.get(key) for key in keys) else False
