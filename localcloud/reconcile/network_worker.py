"""One thread that applies the network plan after every change, and tracks its progress."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from localcloud.errors import LocalcloudError, NetworkError
from localcloud.infrastructure import Infrastructure, NetworkPlan

_log = logging.getLogger(__name__)

_RETRY_S = 1.0
# Errors that last longer are not temporary, such as a namespace that is being recreated.
_PATIENCE_S = 5.0


class NetworkWorker:
    """Changes that arrive while a plan is being applied are combined in the next plan."""

    def __init__(
        self, plan: Callable[[], NetworkPlan], infrastructure: Infrastructure, patience_s: float = _PATIENCE_S
    ) -> None:
        self._plan = plan
        self._infrastructure = infrastructure
        self._changed = threading.Condition()
        self._requested = 0
        self._applied = 0
        self._current: NetworkPlan | None = None
        self._patience_s = patience_s
        self._error = ""
        self._failing_since: float | None = None
        self._last_ms = 0.0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="localcloud-network", daemon=True)

    def start(self) -> None:
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
        """Block until all requested changes are in force, or the worker is stopped.

        Raises NetworkError with the reason if no plan could be applied for some seconds.
        """
        with self._changed:
            target = self._requested
            while self._applied < target and not self._stopped:
                failing_s = self._failing_s()
                if failing_s > self._patience_s:
                    raise NetworkError(f"the network could not be applied for {failing_s:.0f} s: {self._error}")
                self._changed.wait(_RETRY_S)

    def _failing_s(self) -> float:
        return 0.0 if self._failing_since is None else time.monotonic() - self._failing_since

    def status(self) -> dict[str, Any]:
        with self._changed:
            return {
                "changes_behind": self._requested - self._applied,
                "last_apply_ms": round(self._last_ms, 1),
                "error": self._error,
                "failing_s": round(self._failing_s(), 1),
            }

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
            self._failed(str(error) if isinstance(error, LocalcloudError) else f"{type(error).__name__}: {error}")
            return False
        with self._changed:
            self._current, self._error, self._failing_since = plan, "", None
        return True

    def _failed(self, reason: str) -> None:
        if reason != self._error:  # once, not at each attempt
            _log.exception("the network plan could not be applied; trying again every %.0f s", _RETRY_S)
        with self._changed:
            self._error = reason
            self._failing_since = self._failing_since or time.monotonic()
