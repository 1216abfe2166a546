"""Imports the objects of interrupted and failed creates into the state."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from operations.errors import OperationError
from operations.failed_creates import FailedCreates
from operations.failures import Failures, with_pending
from operations.pending import apply_recovery, plan_recovery, read_pending
from provisioning.cloud_calls import CallApi
from provisioning.errors import CloudApiError

Report = Callable[[str], None]
Sleep = Callable[[float], None]

# Reads can lag behind creates, so an object that was created a moment ago may be found only later.
_PAUSES_S = (1, 2, 4)


class StackAccess(Protocol):
    def export_state(self) -> dict[str, Any]:
        """Return the state; it has the key `deployment`. Raises OperationError."""
        ...

    def import_state(self, state: dict[str, Any]) -> None:
        """Replace the state. Raises OperationError."""
        ...

    def refresh_resources(self, urns: Sequence[str]) -> None:
        """Read these resources into the state. Raises EngineError."""
        ...

    def connect(self) -> CallApi:
        """Raises OperationError or CloudApiError."""
        ...


class Recoverer:
    """Recovers one stack.

    Methods raise OperationError if the operator must decide, for example between several objects, and EngineError if
    the refresh of the imported objects fails.
    """

    def __init__(
        self, stack: StackAccess, failed_creates: FailedCreates, report: Report, sleep: Sleep = time.sleep
    ) -> None:
        self._stack = stack
        self._failed_creates = failed_creates
        self._report = report
        self._sleep = sleep
        self._tried: set[str] = set()  # URNs

    def recover_interrupted(self, state: dict[str, Any] | None = None) -> None:
        """Import the objects that an earlier run has created; remove its other pending creates from the state.

        Exports the state unless the caller has it.
        """
        self._recover(state or self._stack.export_state(), pauses_s=())

    def recover_failed(self, failures: Failures) -> bool:
        """Import the objects of failed creates. Returns whether the deployment can continue.

        It can if all objects exist, and none of these creates has failed before: it would fail again, without an end.
        """
        # If the search fails, the next run repeats it.
        self._failed_creates.add(failures.uncertain)
        urns = {each["urn"] for each in failures.uncertain}
        repeated = not self._tried.isdisjoint(urns)
        self._tried |= urns
        return self._recover(self._stack.export_state(), pauses_s=_PAUSES_S) and not repeated

    def _recover(self, state: dict[str, Any], pauses_s: Sequence[float]) -> bool:
        deployment = with_pending(state["deployment"], self._failed_creates.read())
        pending = read_pending(deployment)
        if not pending:
            self._failed_creates.clear()
            return False
        ids_in_state = frozenset((each["type"], each.get("id", "")) for each in deployment.get("resources") or [])
        try:
            recovery = plan_recovery(pending, ids_in_state, self._stack.connect)
            for pause_s in pauses_s:
                if recovery.absent:
                    self._sleep(pause_s)
                    recovery = plan_recovery(pending, ids_in_state, self._stack.connect)
        except CloudApiError as error:
            raise OperationError(
                f"{error.message}\n  the search for objects of an interrupted run failed; nothing was changed"
            ) from None
        for urn, id_ in recovery.found.items():
            self._report(f"An interrupted run may have created {urn}: importing {id_}.")
        for urn in recovery.absent:
            self._report(f"An interrupted run was creating {urn}: it does not exist.")
        self._stack.import_state({**state, "deployment": apply_recovery(deployment, recovery)})
        self._failed_creates.clear()
        if not recovery.found:
            return False
        self._stack.refresh_resources(list(recovery.found))
        return not self._report_deleted(recovery.found) and not recovery.absent

    def _report_deleted(self, imported: Mapping[str, str]) -> bool:
        """Whether the refresh has deleted imported objects, whose ids were derived from their inputs (ByInputs)."""
        resources = self._stack.export_state()["deployment"].get("resources") or []
        present = {(each["urn"], each.get("id", "")) for each in resources}
        gone = [urn for urn, id_ in imported.items() if (urn, id_) not in present]
        for urn in gone:
            self._report(f"The refresh has found that {urn} does not exist.")
        return bool(gone)
