"""Deletes resources in reverse order of dependency, as many at once as that order allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from localcloud.engine.state import Resource

_AT_ONCE = 16


def ready(waiting: Sequence[Resource], running: Iterable[Resource] = ()) -> list[Resource]:
    """Those that nothing else which is still there depends on."""
    there = [*waiting, *running]
    needed = {id(one): one.depends_on() for one in there}
    return [
        one
        for one in waiting
        if not any(one.urn in needed[id(other)] for other in there if other is not one and other.urn != one.urn)
    ]


def delete_in_order(resources: Sequence[Resource], delete: Callable[[Resource], None]) -> bool:
    """False when a deletion failed; by then what was running has ended, and nothing more was begun."""
    waiting = list(resources)
    running: dict[Future[None], Resource] = {}
    succeeded = True
    with ThreadPoolExecutor(_AT_ONCE, "delete") as pool:
        while running or (waiting and succeeded):
            for one in ready(waiting, running.values()) if succeeded else ():
                waiting.remove(one)
                running[pool.submit(delete, one)] = one
            if not running:
                # Only a circle of dependencies gets here; take the newest, rather than wait for ever.
                one = waiting.pop()
                running[pool.submit(delete, one)] = one
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                del running[future]
                succeeded = succeeded and future.exception() is None
    return succeeded
