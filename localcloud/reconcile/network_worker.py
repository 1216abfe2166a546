"""One thread that applies the network plan after every change, and tracks its progress."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from localcloud.infrastructure import Infrastructure, NetworkPlan

_log = logging.getLogger(__name__)

_RETRY_S = 1.0


class NetworkWorker:
    """Changes that arrive while a plan is being applied are combined in the next plan."""

    def __init__(self, plan: Callable[[], NetworkPlan], infrastructure: Infrastructure) -> None:
        self._plan = plan
        self._infrastructure = infrastructure
        self._changed = threading.Condition()
        self._requested = 0
        self._applied = 0
        self._current: NetworkPlan | None = None
        self._error = ""
        self._last_ms = 0.0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="localcloud-network", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the present plan and end the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def request(self) -> None:
        """The records have changed: apply their plan soon."""
        with self._changed:
            self._requested += 1
            self._changed.notify_all()

    def wait_until_applied(self) -> None:
        """Block until all requested changes are in force, or the worker is stopped."""
        with self._changed:
            target = self._requested
            self._changed.wait_for(lambda: self._applied >= target or self._stopped)

    def idle(self) -> bool:
        """Whether all requested changes are in force."""
        with self._changed:
            return self._applied >= self._requested

    def status(self) -> dict[str, Any]:
        """Return the progress, the last error, and the time of the last application."""
        with self._changed:
            behind = self._requested - self._applied
        return {"changes_behind": behind, "last_apply_ms": round(self._last_ms, 1), "error": self._error}

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._requested > self._applied)
                if self._stopped:
                    return
                target = self._requested
            if self._apply():
                with self._changed:
                    self._applied = target
                    self._changed.notify_all()
            else:
                with self._changed:
                    self._changed.wait(_RETRY_S)

    def _apply(self) -> bool:
        began = time.monotonic()
        try:
            plan = self._plan()
            if plan != self._current:
                self._infrastructure.apply_network(plan)
                self._last_ms = (time.monotonic() - began) * 1000
        except Exception as error:  # noqa: BLE001 - after any error of the infrastructure, the next plan may succeed
            # The error may be temporary (a namespace is being recreated): keep trying, and report it in `status`.
            _log.exception("the network plan could not be applied")
            self._error = f"{type(error).__name__}: {error}"
            return False
        self._current = plan
        self._error = ""
        return True
