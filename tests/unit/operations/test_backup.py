from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from operations.backup import Backups, open_backups, parse_time
from operations.errors import OperationError
from provisioning.errors import HostKeyError, UnreachableError
from provisioning.inventory import RemoteNode
from provisioning.ssh.agent_calls import Connection

FIRST, SECOND, REPLACED = "20261126T020000Z", "20261127T020000Z", "20261127T090000Z"


@dataclass
class FakeNode:
    """The agent's responses about backups."""

    name: str
    backups: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    database: str = "present"
    record: dict[str, str] = field(default_factory=lambda: {"database": "iam", "node": "iam-a"})
    calls: list[str] = field(default_factory=list[str])

    @property
    def node(self) -> RemoteNode:
        return RemoteNode(self.name, "ins-1", "10.0.4.20", "10.0.4.20", "debian", (), eligible=True)

    def close(self) -> None:
        self.calls.append("close")

    def call(self, operations: Sequence[dict[str, Any]], **_options: Any) -> list[Any]:
        return [self._answer(json.loads(json.dumps(operation))) for operation in operations]

    def _answer(self, operation: dict[str, Any]) -> Any:
        verb = operation.pop("do")
        if verb in ("backups", "facts", "data_state"):
            answers: dict[str, Any] = {
                "backups": self.backups,
                "facts": {"held_data": self.record},
                "data_state": {"record": self.record, "database": self.database},
            }
            return answers[verb]
        self.calls.append(" ".join([verb, *map(str, operation.values())]) if verb in ("restore", "remember") else verb)
        kept = "" if operation.get("discard") else "20261127T100000Z"
        return {"kept": kept, "warnings": ["10.0.4.21 cannot be reached by SSH"]} if verb == "restore" else kept


def backups(lines: list[str], *, database: str = "present") -> tuple[Backups, FakeNode, FakeNode]:
    second, replaced = {"size": 2048, "replaced": False}, {"size": 3072, "replaced": True}
    a = FakeNode("iam-a", {SECOND: second, REPLACED: replaced} if database == "present" else {}, database=database)
    b = FakeNode("iam-b", {FIRST: {"size": 1024, "replaced": False}, SECOND: second, REPLACED: replaced})
    return Backups("iam-a", cast("list[Connection]", [a, b]), lines.append), a, b


def no(_question: str) -> None:
    raise KeyboardInterrupt


def yes(_question: str) -> None:
    pass


def test_each_backup_is_listed_with_the_nodes_that_have_it() -> None:
    lines: list[str] = []
    backups(lines)[0].show()
    assert lines == [
        "2026-11-27 09:00:00 UTC  3 KiB  on iam-a, iam-b  replaced by a restore",
        "2026-11-27 02:00:00 UTC  2 KiB  on iam-a, iam-b",
        "2026-11-26 02:00:00 UTC  1 KiB  on iam-b",
    ]


@pytest.mark.parametrize(
    ("at", "name"),
    [
        (None, SECOND),
        (datetime(2026, 11, 27, 1, tzinfo=UTC), FIRST),
        (datetime(2026, 11, 26, 2, tzinfo=UTC), FIRST),
        (datetime(2026, 11, 27, 10, tzinfo=UTC), SECOND),
        (datetime(2026, 11, 27, 9, tzinfo=UTC), REPLACED),
    ],
)
def test_a_restore_takes_the_newest_backup_until_the_given_time_and_replaced_data_only_by_its_time(
    at: datetime | None, name: str
) -> None:
    lines: list[str] = []
    found, a, b = backups(lines)
    found.restore(at, audit_queue=False, confirm=yes)
    assert [line for line in a.calls if line.startswith("restore")] == [f"restore {name} False False"]
    assert [line for line in b.calls if line.startswith("restore")] == []
    assert lines[0] == "warning: 10.0.4.21 cannot be reached by SSH"
    assert "tandem restore --at '2026-11-27 10:00:00'" in lines[-1]


def test_damaged_data_is_replaced_without_a_backup_only_at_the_operators_word() -> None:
    lines: list[str] = []
    questions: list[str] = []
    found, a, _ = backups(lines)
    found.restore(None, audit_queue=False, discard=True, confirm=questions.append)
    assert f"restore {SECOND} False True" in a.calls
    assert "The present data is lost." in questions[0]
    assert lines[-1] == "restored the backup of 2026-11-27 02:00:00 UTC"


def test_nothing_is_restored_without_a_confirmation_or_a_backup() -> None:
    found, a, _ = backups([])
    with pytest.raises(KeyboardInterrupt):
        found.restore(None, audit_queue=False, confirm=no)
    with pytest.raises(
        OperationError, match="no backup to restore that was made until 2026-11-01 00:00:00 UTC; backups:"
    ):
        found.restore(datetime(2026, 11, 1, tzinfo=UTC), audit_queue=False, confirm=yes)
    assert a.calls == []


def restore_newest(found: Backups) -> None:
    found.restore(None, audit_queue=False, confirm=no)


def start_empty(found: Backups) -> None:
    found.start_empty(yes)


@pytest.mark.parametrize(("decide", "replacement"), [(restore_newest, SECOND), (start_empty, "empty")])
def test_the_decision_about_lost_data_is_recorded_on_every_node(
    decide: Callable[[Backups], None], replacement: str
) -> None:
    lines: list[str] = []
    found, a, b = backups(lines, database="absent")
    decide(found)
    record = {"database": "iam", "node": "iam-a", "replacement": replacement}
    assert a.calls == b.calls == ["lock", f"remember {record}", "unlock"]
    assert lines[-1].startswith("The next `tandem up` creates")


@pytest.mark.parametrize("decide", [restore_newest, start_empty])
def test_no_decision_is_recorded_while_it_is_unknown_whether_the_data_exists(
    decide: Callable[[Backups], None],
) -> None:
    found, a, b = backups([], database="unknown")
    with pytest.raises(OperationError, match="MariaDB on iam-a does not run, and its data may exist"):
        decide(found)
    without = Backups("iam-a", cast("list[Connection]", [b]), print)
    with pytest.raises(OperationError, match="whether iam-a has the database is not known"):
        decide(without)
    assert a.calls == b.calls == []


def test_an_existing_database_cannot_be_declared_lost() -> None:
    found, a, _ = backups([])
    with pytest.raises(OperationError, match="the database on iam-a exists"):
        found.start_empty(yes)
    assert a.calls == []


def test_a_time_is_in_utc_unless_it_has_an_offset() -> None:
    assert parse_time("2026-11-27 02:00") == datetime(2026, 11, 27, 2, tzinfo=UTC)
    assert parse_time("2026-11-27T02:00+08:00") == datetime(2026, 11, 26, 18, tzinfo=UTC)
    with pytest.raises(OperationError, match="must be a time such as"):
        parse_time("yesterday")


# ---- connections -----------------------------------------------------------------------------------------------------


def outputs() -> dict[str, Any]:
    nodes = [
        {"name": name, "instance_id": "ins-1", "private_address": "10.0.4.20", "ssh_address": "10.0.4.20",
         "user": "debian", "host_keys": [], "eligible": True}
        for name in ("iam-a", "iam-b", "iam-c")
    ]  # fmt: skip
    return {"group": "g", "nodes": nodes, "virtual_ips": [], "ssh": {"private_key": "key"}, "data_node": "iam-a"}


def test_nodes_that_do_not_respond_are_waited_for_at_the_same_time() -> None:
    waiting = threading.Barrier(3)  # the three connections: one after the other, they would never all be open
    lines: list[str] = []

    def connect(node: RemoteNode) -> Connection:
        waiting.wait(60)
        if node.name != "iam-b":
            raise UnreachableError(f"{node.name}: no connection")
        return cast("Connection", FakeNode(node.name, {FIRST: {"size": 1024, "replaced": False}}))

    with open_backups(outputs(), lines.append, connect) as found:
        found.show()
    assert sorted(lines) == [
        "2026-11-26 02:00:00 UTC  1 KiB  on iam-b",
        "iam-a is skipped: iam-a: no connection",
        "iam-c is skipped: iam-c: no connection",
    ]


def test_a_node_with_another_host_key_is_an_error() -> None:
    def connect(node: RemoteNode) -> Connection:
        raise HostKeyError(f"{node.name}: the host key differs")

    with pytest.raises(OperationError, match="the host key differs"), open_backups(outputs(), print, connect):
        pass


def open_without_databases(record: dict[str, str]) -> tuple[list[FakeNode], AbstractContextManager[Backups]]:
    """A deployment whose databases are outside the group, and its nodes."""
    nodes: list[FakeNode] = []

    def connect(node: RemoteNode) -> Connection:
        nodes.append(FakeNode(node.name, record=record))
        return cast("Connection", nodes[-1])

    return nodes, open_backups({**outputs(), "data_node": None}, print, connect)


def test_a_group_to_which_the_databases_return_can_start_empty() -> None:
    """Its nodes remember the databases of before, so `up` asks for this decision."""
    nodes, opened = open_without_databases({"database": "iam", "node": "iam-a"})
    with opened as found:
        found.start_empty(lambda _text: None)
        with pytest.raises(OperationError, match="this deployment has no databases in the group"):
            found.create()
    assert all(any("'replacement': 'empty'" in call for call in node.calls) for node in nodes)


def test_a_group_that_never_had_databases_has_no_backups() -> None:
    nodes, opened = open_without_databases({})
    with pytest.raises(OperationError, match="this deployment has no databases in the group"), opened:
        pass
    assert all(node.calls == ["close"] for node in nodes)
