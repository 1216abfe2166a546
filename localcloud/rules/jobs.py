"""Delayed state changes, for example an address that becomes bound or a disk that becomes attached.

A job is a record, so it survives the end of the process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from localcloud.rules.records import Record
from localcloud.rules.transaction import Transaction

Step = Callable[[Transaction, str], None]

_STEPS: dict[str, Step] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Record):
    """A step with its due time and the ID of the record to change."""

    due: float
    step: str
    subject: str


def step(name: str) -> Callable[[Step], Step]:
    """Register a function by name, so that jobs can call it after a restart."""

    def register(function: Step) -> Step:
        _STEPS[name] = function
        return function

    return register


def after(tx: Transaction, delay_s: float, name: str, subject: str) -> None:
    """Schedule the named step for the subject in `delay_s` seconds."""
    # A step that is due immediately still runs in the next transaction, so a response shows the intermediate state.
    tx.put(
        Job(id=str(tx.count("job")), region=tx.region, created=tx.now, due=tx.now + delay_s, step=name, subject=subject)
    )


def run_due(tx: Transaction, job: Job) -> None:
    """Run one job and delete it."""
    tx.delete(job)
    _STEPS[job.step](tx, job.subject)
