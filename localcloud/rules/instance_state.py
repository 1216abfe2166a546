"""The instance states in which operations are permitted, and the refusal for each other state."""

from __future__ import annotations

from localcloud.rules import instance
from localcloud.rules.instance import Instance
from localcloud.rules.refusal import Refusal, documented
from localcloud.rules.transaction import Transaction


class InstanceBusy(Refusal):
    """An instance must not have an operation in progress before the next one starts."""

    code = "OperationDenied.InstanceOperationInProgress"
    template = "The instance `{instance_id}` must not have an operation in progress (operation {operation})."
    source = documented("StartInstances: OperationDenied.InstanceOperationInProgress", page="213/15735")


class _WrongState(Refusal):
    template = "The instance `{instance_id}` must be in a state that permits the operation (got {state})."
    source = documented("StopInstances, StartInstances (213/15735): the codes for each state", page="213/15743")


class InstanceIsPending(_WrongState):
    """An instance cannot be changed while it is being created."""

    code = "UnsupportedOperation.InstanceStatePending"


class InstanceIsRunning(_WrongState):
    """A running instance cannot be started, and can be changed only with ForceStop."""

    code = "UnsupportedOperation.InstanceStateRunning"


class InstanceIsStopped(_WrongState):
    """A stopped instance cannot be stopped again."""

    code = "UnsupportedOperation.InstanceStateStopped"


class InstanceIsStarting(_WrongState):
    """An instance cannot be changed while it is starting."""

    code = "UnsupportedOperation.InstanceStateStarting"


class InstanceIsStopping(_WrongState):
    """An instance cannot be changed while it is stopping."""

    code = "UnsupportedOperation.InstanceStateStopping"


class InstanceIsTerminating(_WrongState):
    """An instance cannot be changed while it is being terminated."""

    code = "UnsupportedOperation.InstanceStateTerminating"


class InstanceLaunchFailed(_WrongState):
    """An instance that failed to launch can only be terminated."""

    code = "UnsupportedOperation.InstanceStateLaunchFailed"
    source = documented("CVM error codes: UnsupportedOperation.InstanceStateLaunchFailed", page="213/30435")


class StoppedWithoutCharge(_WrongState):
    """An instance stopped with STOP_CHARGING can be started or terminated, but not changed."""

    code = "UnsupportedOperation.StoppedModeStopCharging"
    source = documented("ResetInstancesType and others: UnsupportedOperation.StoppedModeStopCharging", page="213/15744")


_BY_STATE: dict[str, type[_WrongState]] = {
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
        raise StoppedWithoutCharge(instance_id=instance_id, state=found.state)
    return found
