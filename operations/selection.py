"""The resources that an operation is limited to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Selection:
    """URNs, or patterns of URNs in which `**` matches any text."""

    target: Sequence[str] = ()
    exclude: Sequence[str] = ()
    replace: Sequence[str] = ()
    target_dependents: bool = False


EVERYTHING = Selection()
