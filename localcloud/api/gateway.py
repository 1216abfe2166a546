"""State shared by all requests in addition to the records: request rates, active faults, the log."""

from __future__ import annotations

from collections import deque

from localcloud.api.api_faults import ApiFaults
from localcloud.api.rates import rate
from localcloud.api.request_log import RequestLog
from localcloud.api.request_rules import TooManyRequests
from localcloud.reconcile.cloud import Cloud

_WINDOW_S = 1.0


class Throttle:
    """Limits the calls of one action by one account within any second.

    `requests_per_second`: the same limit for every action; 0 for no limit; None for the documented limit of each
    action.
    """

    def __init__(self, requests_per_second: int | None) -> None:
        self.requests_per_second = requests_per_second
        self._calls: dict[tuple[str, str, str], deque[float]] = {}

    def count(self, secret_id: str, service: str, action: str, now: float) -> None:
        """Count a call. Raises TooManyRequests; a rejected call is not counted."""
        limit = rate(service, action) if self.requests_per_second is None else self.requests_per_second
        if not limit:
            return
        calls = self._calls.setdefault((secret_id, service, action), deque())
        while calls and calls[0] <= now - _WINDOW_S:
            calls.popleft()
        if len(calls) >= limit:
            raise TooManyRequests(count=len(calls) + 1, limit=limit)
        calls.append(now)


class Gateway:
    """One object per cloud, shared by the public application and the admin application."""

    def __init__(self, cloud: Cloud, *, requests_per_second: int | None = None) -> None:
        self.cloud = cloud
        self.throttle = Throttle(requests_per_second)
        self.faults = ApiFaults()
        self.log = RequestLog()
