"""Runs a function for several nodes in parallel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def in_parallel(of: Sequence[S], do: Callable[[S], T]) -> list[T]:
    """Call `do` for each element in parallel; return the results in order. Wait for all, then raise the first error."""
    with ThreadPoolExecutor(max_workers=max(1, len(of))) as pool:
        futures = [pool.submit(do, each) for each in of]
    return [future.result() for future in futures]
