"""The record that a database of the group has held data. It is on every node, so that it survives the loss of a disk.

While the record exists, no empty database is created in the place of a lost one, unless the operator has chosen a
replacement (`tandem restore`): a backup, or "empty".
"""

from __future__ import annotations

from .node import Node, StepError

_RECORD = "held_data.json"
EMPTY = "empty"


def read(node: Node) -> dict[str, str]:
    """{"database": "iam", "node": "iam-a", "replacement": ...}; empty if no database has held data."""
    return node.read_json(_RECORD, {})


def remember(node: Node, *, record: dict[str, str]) -> None:
    if read(node) != record:
        node.before("remember the data")
        node.write_json(_RECORD, record)


def refuse_empty(node: Node, why: str) -> None:
    """Raise StepError if a database has held data and the operator has not chosen a replacement."""
    record = read(node)
    if record and not record.get("replacement"):
        raise StepError("held data", why, detail=record)


def chosen_backup(node: Node) -> str:
    """The backup from which to create the database; "" if none is chosen."""
    chosen = read(node).get("replacement", "")
    return "" if chosen == EMPTY else chosen
