"""Asynchronous tasks and their results."""

from __future__ import annotations

from dataclasses import dataclass, replace

from localcloud.rules.jobs import after, step
from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal, documented, rule
from localcloud.rules.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Record):
    """A task: RUNNING, then SUCCESS or FAILED. The ID is a decimal number, or the RequestId of the request that started
    it.
    """

    result: str = "RUNNING"
    resource_ids: tuple[str, ...] = ()


TaskNotFound = rule(
    "ResourceNotFound",
    "TaskId must identify an existing task.",
    documented("DescribeVpcTaskResult: TaskId", page="215/59037"),
)


def begin(tx: Transaction, delay_s: float, *, task_id: str = "", resource_ids: tuple[str, ...] = ()) -> str:
    """Start a task that succeeds after `delay_s` seconds. Returns its ID."""
    if not task_id:
        number = tx.count("task")
        task_id = str(10_000_000 + int.from_bytes(tx.scramble("task", number).encode()) % 80_000_000 + number)
    tx.put(Task(id=task_id, region=tx.region, created=tx.now, resource_ids=resource_ids))
    after(tx, delay_s, "task.done", task_id)
    return task_id


def get(tx: Transaction, task_id: str, missing: type[Refusal] = TaskNotFound) -> Task:
    """Return the task. Raises: the given refusal if it does not exist."""
    return tx.get(Task, task_id, missing)


@step("task.done")
def _done(tx: Transaction, task_id: str) -> None:
    found = tx.find(Task, task_id)
    if found is not None:
        tx.put(replace(found, result="SUCCESS"))
