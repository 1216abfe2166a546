"""Durations of state transitions, in seconds. Zero means: complete by the next request."""

from __future__ import annotations

from dataclasses import dataclass

# Maximum age of the records that a stale read returns.
LONGEST_PAST_S = 60.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Minimum durations of the transitions. The real duration of an instance operation is added."""

    instance_start_s: float = 0.0  # PENDING or STARTING to RUNNING
    instance_stop_s: float = 0.0  # STOPPING to STOPPED
    instance_change_s: float = 0.0  # resize, reset, key and bandwidth changes: OPERATING to SUCCESS
    instance_terminate_s: float = 0.0  # TERMINATING until deleted
    address_s: float = 0.0  # allocate, bind, unbind an EIP
    nat_gateway_s: float = 0.0  # PENDING to AVAILABLE, DELETING until deleted
    disk_s: float = 0.0  # ATTACHING, DETACHING, EXPANDING

    load_balancer_s: float = 0.0  # every write of the CLB is a task
    # A real HAVIP "may take 10 seconds" to move. The infrastructure delays the traffic by this time, then updates
    # the record.
    havip_takeover_s: float = 0.0


SHORT = Timing()

# Orders of magnitude observed in the real cloud (assumed: Tencent publishes only the duration for HAVIPs).
REALISTIC = Timing(
    instance_start_s=20.0,
    instance_stop_s=10.0,
    instance_change_s=5.0,
    instance_terminate_s=15.0,
    address_s=2.0,
    nat_gateway_s=5.0,
    disk_s=3.0,
    load_balancer_s=3.0,
    havip_takeover_s=10.0,
)
