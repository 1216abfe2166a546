"""The same for several nodes at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def at_once(of: Sequence[S], do: Callable[[S], T]) -> list[T]:
    """The same for all at once, results in order. Every one is waited for; then the first error is raised."""
    with ThreadPoolExecutor(max_workers=max(1, len(of))) as pool:
        futures = [pool.submit(do, one) for one in of]
    return [future.result() for future in futures]
