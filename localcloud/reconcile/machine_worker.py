"""Threads that apply the records of instances and disks to the infrastructure, one per resource."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import AbstractContextManager
from typing import Any, Protocol

from localcloud import infrastructure
from localcloud.infrastructure import Infrastructure
from localcloud.reconcile.machine_spec import machine_spec
from localcloud.reconcile.network_worker import NetworkWorker
from localcloud.rules import disk, instance, instance_change
from localcloud.rules.disk import Disk
from localcloud.rules.instance import Instance
from localcloud.rules.records import Record
from localcloud.rules.transaction import Transaction

_log = logging.getLogger(__name__)

KINDS: set[type[Record]] = {Instance, Disk}


class _Records(Protocol):
    infrastructure: Infrastructure

    def transaction(self, region: str | None = None) -> AbstractContextManager[Transaction]: ...
    def clock(self) -> float: ...


class MachineWorker:
    """One thread for each instance or disk with pending work; machines boot in parallel."""

    def __init__(self, records: _Records, network: NetworkWorker) -> None:
        self._records = records
        self._network = network
        self._lock = threading.Lock()
        self._in_progress: dict[str, threading.Thread] = {}
        self._closing = threading.Event()

    def follow(self, tx: Transaction) -> None:
        """Start the work that the changed records require."""
        for record in tx.changes.values():
            if (isinstance(record, Instance) and record.steps) or (isinstance(record, Disk) and record.step):
                self._begin(record)

    def resume(self) -> None:
        """After a restart: continue interrupted work, and start machines that should be running."""
        with self._records.transaction("") as tx:
            waiting = [one for one in tx.everywhere(Instance) if one.steps]
            waiting_disks = [one for one in tx.everywhere(Disk) if one.step is not None]
            running = [one for one in tx.everywhere(Instance) if one.state == "RUNNING" and not one.steps]
        for record in (*waiting, *waiting_disks):
            self._begin(record)
        up = self._records.infrastructure.running() if running else frozenset[str]()
        for lost in running:
            if lost.id not in up:
                with self._records.transaction(lost.region) as tx:
                    instance_change.restore(tx, lost.id)

    def _begin(self, record: Instance | Disk) -> None:
        with self._lock:
            if record.id in self._in_progress or self._closing.is_set():
                return
            target = self._reconcile_instance if isinstance(record, Instance) else self._reconcile_disk
            thread = threading.Thread(
                target=self._run, args=(target, record.id, record.region), name=f"localcloud-{record.id}", daemon=True
            )
            self._in_progress[record.id] = thread
        thread.start()

    def _run(self, target: Any, record_id: str, region: str) -> None:
        try:
            target(record_id, region)
        except Exception:  # noqa: BLE001 - the thread has no caller to raise to; the error is logged
            _log.exception("work on %s failed", record_id)
            with self._lock:
                self._in_progress.pop(record_id, None)

    def _wait(self, until: float) -> bool:
        """Wait for the minimum time of the transition. Returns False on closing; the next start does the rest."""
        while (left := until - self._records.clock()) > 0:
            if self._closing.wait(min(left, 1.0)):
                return False
        return not self._closing.is_set()

    def _reconcile_instance(self, instance_id: str, region: str) -> None:
        with self._records.transaction(region) as tx:
            found = instance.get(tx, instance_id)
            spec = machine_spec(tx, found)
            deleted_disks = [
                one.id for one in disk.of_instance(tx, instance_id) if one.delete_with_instance and one.portable
            ]
        error = ""
        try:
            for step in found.steps:
                self._run_step(step, spec, deleted_disks)
        except Exception as problem:  # noqa: BLE001 - any error of the infrastructure fails the instance
            _log.exception("%s: %s failed", instance_id, ", ".join(found.steps))
            error = f"{type(problem).__name__}: {problem}"
        if not self._wait(found.steps_began + found.steps_delay_s):
            return
        with self._records.transaction(region) as tx:
            if error:
                # A machine that could not be stopped keeps running; the state STOPPED would hide it permanently.
                running = instance_id in self._records.infrastructure.running()
                instance_change.failed(tx, instance_id, error, running=running)
            else:
                instance_change.finished(tx, instance_id)
            self._done(instance_id)

    def _run_step(self, step: instance.Step, spec: infrastructure.MachineSpec, deleted_disks: list[str]) -> None:
        match step:
            case "start":
                # The machine's port must exist before it boots.
                self._network.wait_until_applied()
                self._records.infrastructure.start_machine(spec)
            case "stop":
                self._records.infrastructure.stop_machine(spec.instance_id, hard=False)
            case "cut":
                self._records.infrastructure.stop_machine(spec.instance_id, hard=True)
            case "reset":
                self._network.wait_until_applied()
                self._records.infrastructure.reset_machine(spec)
            case "destroy":
                self._records.infrastructure.destroy_machine(spec.instance_id)
                for disk_id in deleted_disks:
                    self._records.infrastructure.destroy_disk(disk_id)

    def _reconcile_disk(self, disk_id: str, region: str) -> None:
        with self._records.transaction(region) as tx:
            found = disk.get(tx, disk_id)
            delay_s = tx.timing.disk_s
        outcome = disk.finished
        try:
            self._run_disk_step(found)
        except Exception:  # noqa: BLE001 - after any error of the infrastructure, the disk stays where it was
            _log.exception("%s: %s failed", disk_id, found.step)
            outcome = disk.failed
        if self._wait(found.step_began + delay_s):
            with self._records.transaction(region) as tx:
                outcome(tx, disk_id)
                self._done(disk_id)

    def _run_disk_step(self, found: Disk) -> None:
        match found.step:
            case "attach":
                self._records.infrastructure.attach_disk(
                    infrastructure.Disk(found.id, found.size_gib), found.instance_id
                )
            case "detach":
                self._records.infrastructure.detach_disk(found.id)
            case "grow":
                self._records.infrastructure.grow_disk(infrastructure.Disk(found.id, found.size_gib))
            case "destroy":
                self._records.infrastructure.destroy_disk(found.id)
            case None:
                return

    def _done(self, record_id: str) -> None:
        # Inside the transaction, so that the next change of the record finds no pending work and starts a new thread.
        with self._lock:
            self._in_progress.pop(record_id, None)

    def status(self) -> dict[str, Any]:
        with self._lock:
            return {"in_progress": sorted(self._in_progress)}

    def join(self, timeout_s: float = 30.0) -> None:
        """Stop waiting for transition times, and wait until the threads have finished what they are applying."""
        self._closing.set()
        with self._lock:
            threads = list(self._in_progress.values())
        deadline = time.monotonic() + timeout_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def data_disk_ids(tx: Transaction) -> list[str]:
    return [one.id for one in tx.everywhere(Disk) if one.portable]
