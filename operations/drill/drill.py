"""Runs the cases of a drill one after the other: load, fault, undo, recovery."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operations.drill.faults import Action, Case, EndDrains, Planned, Target
from operations.drill.result import Result
from operations.drill.site import DrillError, Site
from operations.errors import OperationError
from operations.switchover import find_public_answer
from provisioning.cloud_calls import CallApi
from provisioning.errors import ProvisioningError
from provisioning.parallel import in_parallel
from provisioning.traffic import node_changes
from provisioning.traffic.havip import confirm_with, find_holder
from provisioning.traffic.planned_switchover import end_drains, switch_over
from provisioning.traffic.serving import NodeState

READY_DEADLINE_S = 180.0
BEFORE_S = 2.0  # of undisturbed load before the fault
AFTER_S = 2.0  # and after the recovery
# The time to watch before the fault is undone, by profile. With `seed` a check every 5 s finds a stopped nginx.
WATCH_S = {"fast": 5.0, "balanced": 8.0, "seed": 15.0}
_POLL_S = 0.2


@dataclass
class Injection:
    """One fault on one node, or on all eligible nodes."""

    nodes: list[str]
    at: float  # seconds since the epoch
    undone: float | None = None
    ready: float | None = None  # all nodes serve again


@dataclass
class CaseRun:
    """What one case has shown. Times are in seconds since the epoch."""

    case: Case
    masters: dict[str, str]  # at the beginning, by virtual IP
    began: float = 0.0
    ended: float = 0.0
    injections: list[Injection] = field(default_factory=list[Injection])
    result: Result = field(default_factory=Result)
    journals: dict[str, list[list[Any]]] = field(default_factory=dict[str, list[list[Any]]])
    havip: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])  # changes in the cloud's view
    skipped: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    profile: str
    scale: float = 1.0
    repeat: int = 1  # number of times to inflict each fault in a row, on the node that is master (or backup) then
    watch_s: float | None = None


@dataclass(frozen=True, slots=True)
class Drill:
    """Inflicts faults on a site. Tests pass another clock."""

    site: Site
    options: Options
    report: Callable[[str], None]
    call_api: CallApi | None = None
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time

    def run(self, cases: Sequence[Case]) -> Generator[CaseRun]:
        """Run the cases. A case that cannot be undone or does not recover ends the drill.

        Raises DrillError after the run of that case was returned.
        """
        for case in cases:
            done = self.run_case(case)
            yield done
            if done.error:
                raise DrillError(f"{case.title}: {done.error}\n  look at: tandem health")

    def run_case(self, case: Case) -> CaseRun:
        try:
            states = self.wait_until_ready()
        except (DrillError, ProvisioningError) as error:
            return CaseRun(case, {}, error=str(error))
        run = CaseRun(case, self._masters(states))
        nodes = self._nodes(case.target, states)
        if not nodes or (case.fault.needs and not all(self._runs(case.fault.needs, states, name) for name in nodes)):
            run.skipped = f"{case.fault.needs or 'such a node'} does not run in this deployment"
            return run
        self.report(f"{case.title} ...")
        try:
            self._run_under_load(run)
        except DrillError as error:  # of the load
            run.error = run.error or str(error)
        if not run.error and not run.result.records:
            run.error = "the client sent no request"
        if run.began:
            run.journals = self.site.journals(run.began)
        return run

    def _run_under_load(self, run: CaseRun) -> None:
        with (
            tempfile.TemporaryDirectory(prefix="tandem-drill-") as folder,
            self._watch_havip(run),
            self.site.load(self.options.scale, Path(folder)) as run.result,
        ):
            run.began = self.now()
            self.sleep(BEFORE_S)
            self._inject_all(run)
            self.sleep(AFTER_S)
            run.ended = self.now()

    def _inject_all(self, run: CaseRun) -> None:
        try:
            for _ in range(self.options.repeat):
                self._inject(run)
        except (DrillError, ProvisioningError) as error:
            run.error = str(error)

    def _inject(self, run: CaseRun) -> None:
        """Inflict the fault, watch, undo it, and wait until all nodes serve again."""
        fault = run.case.fault
        nodes = self._nodes(run.case.target, self.site.states())
        injection = Injection(nodes, self.now())
        with self._undone(fault.undo, injection):
            injection.at = min(in_parallel(nodes, lambda node: self._apply(fault.inflict, node)))
            run.injections.append(injection)
            self.sleep((self.options.watch_s or WATCH_S[self.options.profile]) + fault.lasts_s)
        self.wait_until_ready()
        injection.ready = self.now()

    @contextmanager
    def _undone(self, undo: Action | None, injection: Injection) -> Generator[None]:
        """Undo the fault on all nodes after the block, even if that was interrupted: nodes must not stay broken."""
        left = list(injection.nodes) if undo else []
        try:
            yield
            errors = self._undo(undo, left, injection)
        except BaseException:
            for error in self._undo(undo, left, injection):  # also if the undo itself was interrupted
                self.report(f"The fault was not undone: {error}")
            raise
        for error in errors[1:]:
            self.report(f"The fault was not undone: {error}")
        if errors:
            raise errors[0]

    def _undo(
        self, undo: Action | None, left: list[str], injection: Injection
    ) -> list[OperationError | ProvisioningError]:
        """Undo the fault on each node in `left`, and remove the node from it. Returns the errors."""
        errors: list[OperationError | ProvisioningError] = []
        for node in list(left):
            assert undo is not None
            try:
                at = self._apply(undo, node)
            except (OperationError, ProvisioningError) as error:
                errors.append(error)
            else:
                injection.undone = injection.undone or at
            left.remove(node)
        return errors

    def _apply(self, action: Action, node: str) -> float:
        """Inflict or undo a fault. Returns the time at which it began. Raises DrillError or ProvisioningError."""
        if not isinstance(action, Planned | EndDrains):
            return self.site.apply(action, node)
        at, inventory = self.now(), self.site.group.inventory
        # Without credentials, because the figures show when clients reach the new master.
        group = node_changes.Group(inventory, confirm_with(inventory, {}), lambda _line: None, self.site.connect)
        if isinstance(action, Planned):
            switch_over(group, self.site.peer(node))
        else:
            end_drains(group)
        return at

    def wait_until_ready(self) -> list[NodeState]:
        """Wait until all nodes serve, each virtual IP has one master, and the public IP answers.

        Returns the states. Raises DrillError after READY_DEADLINE_S.
        """
        deadline = self.now() + READY_DEADLINE_S
        while True:
            states = self.site.states()
            problems = [problem for state in states for problem in _problems(state)]
            for address in self.site.group.inventory.virtual_ips:
                holders = [state.node.name for state in states if address in state.held]
                if len(holders) != 1:
                    problems.append(f"{address} is held by {' and '.join(holders) or 'no node'}")
            if not problems:
                seen = find_public_answer(self.site.group.public)
                if not seen:
                    return states
                problems = [seen]
            if self.now() > deadline:
                text = "\n  ".join(problems)
                raise DrillError(f"the group is not ready within {READY_DEADLINE_S:.0f} s\n  {text}")
            self.sleep(0.5)

    def _masters(self, states: Sequence[NodeState]) -> dict[str, str]:
        return {
            address: state.node.name
            for address in self.site.group.inventory.virtual_ips
            for state in states
            if address in state.held
        }

    def _nodes(self, target: Target, states: Sequence[NodeState]) -> list[str]:
        eligible = [state.node.name for state in states if state.node.eligible]
        if target == "both":
            return eligible
        if target == "data":
            return [state.node.name for state in states if "mariadb" in state.units]
        master = next(iter(self._masters(states).values()), eligible[0])
        return [master] if target == "master" else [name for name in eligible if name != master][:1]

    def _runs(self, unit: str, states: Sequence[NodeState], name: str) -> bool:
        return any(state.node.name == name and unit in state.units for state in states)

    @contextmanager
    def _watch_havip(self, run: CaseRun) -> Generator[None]:
        """Record which node the HAVIP of the first virtual IP follows in the cloud."""
        if self.call_api is None:
            yield
            return
        stop = threading.Event()
        thread = threading.Thread(target=self._poll_havip, args=(run, self.call_api, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)

    def _poll_havip(self, run: CaseRun, call: CallApi, stop: threading.Event) -> None:
        inventory = self.site.group.inventory
        names = {node.instance_id: node.name for node in inventory.nodes}
        while not stop.wait(_POLL_S):
            try:
                holder = find_holder(call, inventory, inventory.virtual_ips[0])
            except ProvisioningError:
                continue
            name = names.get(holder or "", "no node")
            if not run.havip or run.havip[-1][1] != name:
                run.havip.append((self.now(), name))


def _problems(state: NodeState) -> list[str]:
    name = state.node.name
    if state.unreachable:
        return [f"{name} cannot be queried: {state.unreachable}"]
    found = [f"{name}: {service}: {seen}" for service, seen in state.health.items() if seen]
    if state.node.eligible and not state.can_be_master:
        found.append(f"{name} cannot become master: nginx or keepalived does not run, or it is drained")
    return found
