"""Things that happen by themselves after a time: an address becomes bound, a disk becomes attached.

A job is a record, so that it survives a killed process.
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
    """One step, due at a time, with the id of the record that it is about."""

    due: float
    step: str
    subject: str


def step(name: str) -> Callable[[Step], Step]:
    """Name a function so that a job can find it again after a restart."""

    def register(function: Step) -> Step:
        _STEPS[name] = function
        return function

    return register


def after(tx: Transaction, delay_s: float, name: str, subject: str) -> None:
    """Let the named step happen to the subject in that many seconds."""
    # Due in the same instant, a step still waits for the next transaction: an answer shows the state in between.
    tx.put(
        Job(
            id=str(tx.count("job")),
            region=tx.region,
            created=tx.now,
            due=tx.now + delay_s,
            step=name,
            subject=subject,
        )
    )


def run_due(tx: Transaction, job: Job) -> None:
    """Do one job and forget it."""
    tx.delete(job)
    _STEPS[job.step](tx, job.subject)
