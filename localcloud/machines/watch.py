"""Detect the end of a machine's runner through a pidfd, which also works for the child of another process."""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
from collections.abc import Callable

from localcloud.machines import runner


class Watch:
    """One thread; calls `ended(instance_id)` in a separate thread when a watched runner ends."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._selector = selectors.DefaultSelector()
        self._descriptors: dict[str, tuple[int, int]] = {}  # instance -> (pidfd, pid)
        self._lock = threading.Lock()
        self._wake_in, self._wake_out = os.pipe()
        self._closed = False
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="machine-watch", daemon=True)
        self._thread.start()

    def add(self, instance_id: str, pid: int) -> None:
        self.forget(instance_id)
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._notify(instance_id)
            return
        with self._lock:
            self._descriptors[instance_id] = (descriptor, pid)
            self._selector.register(descriptor, selectors.EVENT_READ, instance_id)
        self._wake()

    def forget(self, instance_id: str) -> None:
        with self._lock:
            descriptor, _ = self._descriptors.pop(instance_id, (-1, 0))
            if descriptor >= 0:
                self._selector.unregister(descriptor)
                os.close(descriptor)
        self._wake()

    def close(self) -> None:
        self._closed = True
        self._wake()
        self._thread.join(timeout=2)

    def _wake(self) -> None:
        os.write(self._wake_out, b".")

    def _notify(self, instance_id: str) -> None:
        threading.Thread(target=self._ended, args=(instance_id,), name=f"ended-{instance_id}", daemon=True).start()

    def _run(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select():
                if key.data is None:
                    os.read(self._wake_in, 4096)
                    continue
                with self._lock:
                    descriptor, pid = self._descriptors.pop(key.data, (-1, 0))
                    if descriptor != key.fd:
                        continue
                    with contextlib.suppress(KeyError, ValueError):
                        self._selector.unregister(descriptor)
                    os.close(descriptor)
                runner.reap(pid)
                self._notify(key.data)
