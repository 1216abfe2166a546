"""`tandem rollback` and `tandem up --force`, without Pulumi and without nodes."""

from __future__ import annotations

import pytest

from operations.errors import OperationError
from operations.rollback import roll_back
from operations.selection import Selection
from provisioning.errors import UnreachableError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.ssh.agent_calls import Connection


class FakeEngine:
    def __init__(self) -> None:
        self.refreshed: list[Selection] = []

    def refresh(self, selection: Selection) -> None:
        self.refreshed.append(selection)


def test_a_failed_rollback_is_an_error_without_a_refresh() -> None:
    node = RemoteNode("iam-a", "ins-1", "10.0.4.20", "10.0.4.20", "debian", (), eligible=True)

    def connect(_node: RemoteNode) -> Connection:
        raise UnreachableError("iam-a: no connection")

    engine = FakeEngine()
    with pytest.raises(OperationError, match="iam-a: no connection"):
        roll_back(engine, Inventory("test", (node,), (), "key"), {}, lambda _line: None, connect)
    assert engine.refreshed == []
