"""Stops a rollout that would put an empty database in the place of one that has held data.

After a rollout that created a database, every node has a record of it (agent/held_data.py). While the record exists,
a blank data disk or a missing database is a loss that the operator must decide about: `tandem restore` records the
decision on the nodes, and the next rollout carries it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from provisioning.backups import describe_backups, list_backups
from provisioning.errors import CandidateError, LostDataError, ProvisioningError
from provisioning.facts import question
from provisioning.kinds.database import Database
from provisioning.kinds.file_system import FileSystem
from provisioning.parallel import in_parallel
from provisioning.rollout.commit import NodeChange
from provisioning.ssh.agent_calls import Connection, node_name

Record = Mapping[str, str]


def refuse(changes: Sequence[NodeChange]) -> None:
    """Check all plans before anything is changed.

    Raises:
        CandidateError: a node cannot be brought to its desired state.
        LostDataError: a database that has held data would be created empty.
    """
    refused = [(f"{node_name(change.node)}: {step}", step.item) for change in changes for step in change.plan.refused]
    if refused:
        (first, item), *others = refused
        seen = "\n".join(message for message, _ in others)
        raise CandidateError(f"{first}; nothing was changed", seen=seen, look_at=item.advice())
    record = find_record(changes)
    if record is None or record.get("replacement"):
        return
    for change in changes:
        for why in _losses(change):
            raise LostDataError(f"{node_name(change.node)}: {why}", seen=f"database {record['database']} has held data")


def explain(error: LostDataError, connections: Sequence[Connection]) -> LostDataError:
    """Add the backups that can be restored, and the commands for it. Returns the error."""
    error.message += ", but a database of this group has held data; no database was created"
    try:
        backups = describe_backups(list_backups(connections))
        found = ["backups:", *(f"  {line}" for line in backups)] if backups else ["there is no backup on the nodes"]
    except ProvisioningError as failed:
        found = [f"the backups cannot be listed: {failed.message}"]
    error.seen = "\n".join(found)
    error.look_at = (
        "`tandem restore` (the newest backup), `tandem restore --at TIME`, or `tandem restore --empty` to "
        "start without the data; then `tandem up`. If a disk with the data exists, attach it instead "
        "(docs/operations.md)"
    )
    return error


def _losses(change: NodeChange) -> Iterator[str]:
    for item in change.items:
        answer = change.facts.of(item)
        if isinstance(item, FileSystem) and answer.get(item.device) == "":
            yield f"the data disk {item.device} is blank"
        # Without an answer MariaDB does not run; the agent checks again before it creates the database.
        if isinstance(item, Database) and answer and answer.get(item.name, "") == "":
            yield f"database {item.name} does not exist"


def find_record(changes: Sequence[NodeChange]) -> Record | None:
    """The record of the group, from any node. A decision of the operator takes precedence."""
    records = [change.facts.held_data for change in changes if change.facts.held_data]
    return max(records, key=lambda record: bool(record.get("replacement")), default=None)


def spread(changes: Sequence[NodeChange], token: str) -> None:
    """Give the record to all nodes before a commit: the agent of a new data node must know it."""
    record = find_record(changes)
    if record is not None:
        _remember(changes, record, token)


def is_recorded(changes: Sequence[NodeChange]) -> bool:
    """Whether every node has the record of the database as it is after a rollout."""
    record = _record_of(changes)
    return record is None or all(change.facts.held_data == record for change in changes)


def record(changes: Sequence[NodeChange], token: str) -> None:
    """Record on every node that the database holds data, after a rollout. Ends a decision of the operator."""
    record = _record_of(changes)
    if record is not None:
        _remember(changes, record, token)


def _record_of(changes: Sequence[NodeChange]) -> Record | None:
    for change in changes:
        for item in change.items:
            if isinstance(item, Database):
                return {"database": item.name, "node": change.node.name}
    return None


def _remember(changes: Sequence[NodeChange], record: Record, token: str) -> None:
    operation = {"do": "remember", "record": dict(record)}
    missing = [change for change in changes if change.facts.held_data != record]
    in_parallel(missing, lambda change: change.connection.call([operation], token=token))


def read_record(connections: Sequence[Connection]) -> Record | None:
    """Return the record of the first node that has one, or None."""
    asked = in_parallel(connections, lambda connection: connection.call([question((), ())])[0])
    return next((answer["held_data"] for answer in asked if answer["held_data"]), None)


def decide(connections: Sequence[Connection], replacement: str, token: str) -> None:
    """Record what the next rollout puts in the place of the lost data: the name of a backup, or "empty"."""
    record = read_record(connections)
    if record is None:
        raise LostDataError(
            "no node has a record that a database has held data; `tandem up` creates the database",
        )
    operation = {"do": "remember", "record": {**record, "replacement": replacement}}
    in_parallel(connections, lambda connection: connection.call([operation], token=token))
