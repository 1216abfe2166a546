"""What all requests share besides the records: throttle, faults, log."""

from __future__ import annotations

from localcloud.api.faults import Faults
from localcloud.api.request_log import RequestLog
from localcloud.api.throttle import Throttle
from localcloud.reconcile.cloud import Cloud


class Gateway:
    """One for a cloud; the public application and the operator's application share it."""

    def __init__(self, cloud: Cloud, *, requests_per_second: int | None = None) -> None:
        self.cloud = cloud
        self.throttle = Throttle(requests_per_second)
        self.faults = Faults()
        self.log = RequestLog()
