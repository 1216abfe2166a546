"""In which states an instance may be changed, and what the others are refused with."""

from __future__ import annotations

from localcloud.rules import instance
from localcloud.rules.instance import Instance
from localcloud.rules.refusal import Refusal, documented
from localcloud.rules.transaction import Transaction


class InstanceBusy(Refusal):
    """An instance with an operation under way takes no other."""

    code = "OperationDenied.InstanceOperationInProgress"
    template = "The instance `{instance_id}` is in operation {operation}."
    source = documented("StartInstances: OperationDenied.InstanceOperationInProgress", page="213/15735")


class _WrongState(Refusal):
    template = "The instance `{instance_id}` in state {state} does not support this operation."
    source = documented("StopInstances, StartInstances (213/15735): the codes for each state", page="213/15743")


class InstanceIsPending(_WrongState):
    """An instance that is being created takes no operation."""

    code = "UnsupportedOperation.InstanceStatePending"


class InstanceIsRunning(_WrongState):
    """A running instance is not started, and is changed only with ForceStop."""

    code = "UnsupportedOperation.InstanceStateRunning"


class InstanceIsStopped(_WrongState):
    """A stopped instance is neither stopped nor rebooted."""

    code = "UnsupportedOperation.InstanceStateStopped"


class InstanceIsStarting(_WrongState):
    """An instance that is starting takes no operation."""

    code = "UnsupportedOperation.InstanceStateStarting"


class InstanceIsStopping(_WrongState):
    """An instance that is stopping takes no operation."""

    code = "UnsupportedOperation.InstanceStateStopping"


class InstanceIsRebooting(_WrongState):
    """An instance that is rebooting takes no operation."""

    code = "UnsupportedOperation.InstanceStateRebooting"


class InstanceIsTerminating(_WrongState):
    """An instance that is being terminated takes no operation."""

    code = "UnsupportedOperation.InstanceStateTerminating"


class InstanceLaunchFailed(_WrongState):
    """An instance that never came up is only terminated."""

    code = "UnsupportedOperation.InstanceStateLaunchFailed"
    source = documented("error codes of CVM: UnsupportedOperation.InstanceStateLaunchFailed", page="213/30435")


class StoppedWithoutCharge(_WrongState):
    """An instance that was stopped with STOP_CHARGING is started or terminated, not changed."""

    code = "UnsupportedOperation.StoppedModeStopCharging"
    source = documented("ResetInstancesType and others: UnsupportedOperation.StoppedModeStopCharging", page="213/15744")


_BY_STATE: dict[str, type[_WrongState]] = {
    "PENDING": InstanceIsPending,
    "RUNNING": InstanceIsRunning,
    "STOPPED": InstanceIsStopped,
    "STARTING": InstanceIsStarting,
    "STOPPING": InstanceIsStopping,
    "REBOOTING": InstanceIsRebooting,
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
