"""`tandem rollback`, `tandem status` and `tandem up --force`, without Pulumi and without nodes."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from operations.errors import OperationError
from operations.rollback import make_status_table, roll_back
from operations.selection import Selection
from provisioning.errors import UnreachableError
from provisioning.facts import Facts, Versions
from provisioning.inventory import Inventory, RemoteNode
from provisioning.ssh.agent_calls import Connection


class FakeEngine:
    def __init__(self) -> None:
        self.refreshed: list[Selection] = []

    def refresh(self, selection: Selection) -> None:
        self.refreshed.append(selection)


def shown(found: dict[str, Facts | UnreachableError]) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=200)
    console.print(make_status_table(dict(found)))
    assert isinstance(console.file, io.StringIO)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_the_status_names_the_revisions_of_each_node() -> None:
    current = {"revision": "2222", "serial": 2, "gates": []}
    previous = {**current, "base": {"revision": "1111"}, "actions": [], "missing": []}
    rejected = {"3333": {"at": "2026-11-27 11:03 UTC", "by": "ann@desk"}}
    unfinished = {**previous, "revision": "4444"}
    rows = shown(
        {
            "iam-a": Facts(versions=Versions(current, previous, None, rejected)),
            "iam-b": Facts(versions=Versions(current, previous, unfinished, {})),
            "iam-c": UnreachableError("iam-c: no connection"),
            "iam-d": Facts(),
        }
    )
    assert rows[1] == ["iam-a", "2222", "1111", *["3333", "(2026-11-27", "11:03", "UTC", "by", "ann@desk)", "ok"]]
    assert rows[2][-7:] == ["4444", "has", "not", "passed", "its", "health", "gates"]
    assert rows[3] == ["iam-c", "iam-c:", "no", "connection"]
    assert rows[4] == ["iam-d", "none", "none", "none", "ok"]


def test_a_failed_rollback_is_an_error_without_a_refresh() -> None:
    node = RemoteNode("iam-a", "ins-1", "10.0.4.20", "10.0.4.20", "debian", (), eligible=True)

    def connect(_node: RemoteNode) -> Connection:
        raise UnreachableError("iam-a: no connection")

    engine = FakeEngine()
    with pytest.raises(OperationError, match="iam-a: no connection"):
        roll_back(engine, Inventory("test", (node,), (), "key"), {}, lambda _line: None, connect)
    assert engine.refreshed == []
