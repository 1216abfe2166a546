"""Detect the end of a machine's runner through a pidfd, which also works for the child of another process."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

from localcloud.machines import runner


class Watch:
    """Calls `ended(instance_id)` when a watched runner ends. One thread waits for each runner."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._watched: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()

    def add(self, instance_id: str, pid: int) -> None:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            descriptor = -1
        name = f"runner-{instance_id}"
        thread = threading.Thread(target=self._wait, args=(instance_id, pid, descriptor), name=name, daemon=True)
        with self._lock:
            self._watched[instance_id] = thread
        thread.start()

    def forget(self, instance_id: str) -> None:
        with self._lock:
            self._watched.pop(instance_id, None)

    def close(self) -> None:
        with self._lock:
            self._watched.clear()

    def _wait(self, instance_id: str, pid: int, descriptor: int) -> None:
        if descriptor >= 0:
            end = select.poll()
            end.register(descriptor, select.POLLIN)
            end.poll()
            os.close(descriptor)
        with self._lock:
            if self._watched.get(instance_id) is not threading.current_thread():
                return
            del self._watched[instance_id]
        runner.reap(pid)
        self._ended(instance_id)
