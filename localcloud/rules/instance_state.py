"""The instance states in which operations are permitted, and the refusal for each other state."""

from __future__ import annotations

from localcloud.rules import instance
from localcloud.rules.instance import Instance
from localcloud.rules.refusal import Refusal, documented, rule
from localcloud.rules.transaction import Transaction

_STATES = documented("StopInstances, StartInstances (213/15735): the codes for each state", page="213/15743")
InstanceBusy = rule(
    "OperationDenied.InstanceOperationInProgress",
    "An instance must not have an operation in progress before the next one starts.",
    documented("StartInstances", page="213/15735"),
)
InstanceIsPending = rule(
    "UnsupportedOperation.InstanceStatePending", "An instance cannot be changed while it is being created.", _STATES
)
InstanceIsRunning = rule(
    "UnsupportedOperation.InstanceStateRunning",
    "A running instance cannot be started, and can be changed only with ForceStop.",
    _STATES,
)
InstanceIsStopped = rule(
    "UnsupportedOperation.InstanceStateStopped", "A stopped instance cannot be stopped again.", _STATES
)
InstanceIsStarting = rule(
    "UnsupportedOperation.InstanceStateStarting", "An instance cannot be changed while it is starting.", _STATES
)
InstanceIsStopping = rule(
    "UnsupportedOperation.InstanceStateStopping", "An instance cannot be changed while it is stopping.", _STATES
)
InstanceIsTerminating = rule(
    "UnsupportedOperation.InstanceStateTerminating",
    "An instance cannot be changed while it is being terminated.",
    _STATES,
)
InstanceLaunchFailed = rule(
    "UnsupportedOperation.InstanceStateLaunchFailed",
    "An instance that failed to launch can only be terminated.",
    documented("CVM error codes", page="213/30435"),
)
StoppedWithoutCharge = rule(
    "UnsupportedOperation.StoppedModeStopCharging",
    "An instance stopped with STOP_CHARGING can be started or terminated, but not changed.",
    documented("ResetInstancesType and others", page="213/15744"),
)

_BY_STATE: dict[str, type[Refusal]] = {
    "PENDING": InstanceIsPending,
    "RUNNING": InstanceIsRunning,
    "STOPPED": InstanceIsStopped,
    "STARTING": InstanceIsStarting,
    "STOPPING": InstanceIsStopping,
    "TERMINATING": InstanceIsTerminating,
    "LAUNCH_FAILED": InstanceLaunchFailed,
}


def get_in(tx: Transaction, instance_id: str, *states: str) -> Instance:
    found = instance.get(tx, instance_id)
    if found.state not in states:
        raise _BY_STATE[found.state](instance_id=instance_id, state=found.state)
    if found.operation_state == "OPERATING":
        raise InstanceBusy(instance_id=instance_id, operation=found.operation)
    return found


def get_changeable(tx: Transaction, instance_id: str) -> Instance:
    found = get_in(tx, instance_id, "RUNNING", "STOPPED")
    if found.state == "STOPPED" and found.stop_charging:
        raise StoppedWithoutCharge(got=found.state, instance_id=instance_id)
    return found
