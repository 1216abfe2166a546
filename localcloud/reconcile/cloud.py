"""The cloud: its records behind one lock, and the workers that apply them to the infrastructure."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from localcloud.infrastructure import Infrastructure, NetworkPlan
from localcloud.reconcile import machine_worker, network_plan
from localcloud.reconcile.network_worker import NetworkWorker
from localcloud.reconcile.store import Store
from localcloud.rules import havip, instance
from localcloud.rules.catalog import IMAGES, Image
from localcloud.rules.jobs import Job, run_due
from localcloud.rules.timing import SHORT, Timing
from localcloud.rules.transaction import AccountType, Transaction

_log = logging.getLogger(__name__)

DEFAULT_CREDENTIALS = {"localcloud": "localcloud-secret"}
DEFAULT_REGION = "ap-guangzhou"


class Cloud:
    """A Tencent Cloud. Thread-safe; implements `InfrastructureEvents`.

    `path` is the SQLite file, or None for memory only. The same `seed` gives the same ids to the same requests.
    `credentials` maps secret ids to secret keys. `clock` returns seconds since the epoch.
    Call `start` before the first request (it resumes the work of a killed process), and `close` at the end.
    """

    def __init__(
        self,
        path: Path | None,
        infrastructure: Infrastructure,
        *,
        seed: int | str = 0,
        timing: Timing = SHORT,
        credentials: Mapping[str, str] | None = None,
        region: str = DEFAULT_REGION,
        images: tuple[Image, ...] = IMAGES,
        clock: Callable[[], float] = time.time,
        account: AccountType = "standard",
    ) -> None:
        self.infrastructure = infrastructure
        self.timing = timing
        self.credentials = dict(DEFAULT_CREDENTIALS if credentials is None else credentials)
        self.region = region
        self.images = images
        self.clock = clock
        self.account: AccountType = account
        self.started = clock()
        self._store = Store(path, str(seed))
        self._lock = threading.RLock()
        self._wake = threading.Condition()
        self._closed = False
        self._network = NetworkWorker(self.network_plan, infrastructure)
        self._machines = machine_worker.MachineWorker(self, self._network)
        self._timer = threading.Thread(target=self._run_timer, name="localcloud-timer", daemon=True)
        infrastructure.listen(self)

    def start(self) -> None:
        """Apply the records to the infrastructure, and begin to follow their changes."""
        self._network.start()
        self._network.request()
        self._machines.resume()
        self._timer.start()

    def close(self) -> None:
        """Stop following changes. The infrastructure keeps running."""
        self._closed = True
        with self._wake:
            self._wake.notify_all()
        self._network.stop()
        if self._timer.ident is not None:
            self._timer.join()
        self._machines.join()
        with self._lock:
            self._store.close()

    @contextmanager
    def transaction(self, region: str | None = None) -> Generator[Transaction]:
        """One request's transaction on the records; its changes are committed unless it raises."""
        with self._lock:
            self._run_due_jobs()
            tx = self._begin(region)
            yield tx
            self._commit(tx)

    @contextmanager
    def past(self, region: str, age_s: float) -> Generator[Transaction]:
        """A view of the records as they were `age_s` ago (at most LONGEST_PAST_S); changes to it are discarded."""
        with self._lock:
            self._run_due_jobs()
            tx = self._begin(region)
            tx.changes.update(self._store.undone_since(self.clock() - age_s))
            yield tx

    def _begin(self, region: str | None) -> Transaction:
        return Transaction(
            self._store.committed,
            self.region if region is None else region,
            self.clock(),
            self.timing,
            self.images,
            account=self.account,
        )

    def _commit(self, tx: Transaction) -> None:
        self._store.commit(tx.changes, tx.facts, self.clock())
        if tx.affects_network_plan:
            self._network.request()
        kinds = {kind for kind, _ in tx.changes}
        if kinds & machine_worker.KINDS:
            self._machines.follow(tx)
        if Job in kinds:
            with self._wake:
                self._wake.notify_all()

    def _run_due_jobs(self) -> None:
        jobs = self._store.committed.records.get(Job, {})
        while jobs:
            now = self.clock()
            due = [job for job in jobs.values() if isinstance(job, Job) and job.due <= now]
            if not due:
                return
            job = min(due, key=lambda job: job.due)
            tx = self._begin(job.region)
            try:
                run_due(tx, job)
            except Exception:  # noqa: BLE001 - a failed step must not stop the timer
                # A step that fails would otherwise be repeated at every request: drop and log it.
                _log.exception("step %s of %s failed", job.step, job.subject)
                tx = self._begin(job.region)
                tx.delete(job)
            self._commit(tx)

    def _run_timer(self) -> None:
        while not self._closed:
            with self._lock:
                self._run_due_jobs()
                dues = [job.due for job in self._store.committed.records.get(Job, {}).values() if isinstance(job, Job)]
            pause = max(0.0, min(dues) - self.clock()) if dues else None
            with self._wake:
                if not self._closed and (pause is None or pause > 0):
                    self._wake.wait(pause if pause is not None else 1.0)

    def network_plan(self) -> NetworkPlan:
        with self._lock:
            return network_plan.plan(self._begin(""))

    def status(self) -> dict[str, Any]:
        """Return the data of `localcloud status`: counts of records, state of the workers, last errors."""
        with self._lock:
            counts = {kind.__name__: len(records) for kind, records in self._store.committed.records.items() if records}
        return {
            "region": self.region,
            "uptime_s": round(self.clock() - self.started, 1),
            "records": counts,
            "network": self._network.status(),
            "machines": self._machines.status(),
        }

    def reset(self) -> None:
        """Delete all records; instances and disks of the infrastructure are destroyed, the network becomes empty."""
        with self._lock:
            tx = self._begin("")
            instance_ids = [record.id for record in tx.everywhere(instance.Instance)]
            disks = machine_worker.data_disk_ids(tx)
            self._store.clear()
            self._network.request()
        for instance_id in instance_ids:
            self.infrastructure.destroy_machine(instance_id)
        for disk_id in disks:
            self.infrastructure.destroy_disk(disk_id)

    def havip_announced(self, vpc_id: str, address: IPv4Address, instance_id: str) -> None:
        with self.transaction("") as tx:
            havip.announced(tx, vpc_id, address, instance_id)

    def machine_stopped(self, instance_id: str) -> None:
        with self.transaction("") as tx:
            instance.power_changed(tx, instance_id, "STOPPED")

    def machine_started(self, instance_id: str) -> None:
        with self.transaction("") as tx:
            instance.power_changed(tx, instance_id, "RUNNING")
