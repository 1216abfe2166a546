"""The checks of single nodes and the table of `tandem health`."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from rich.console import Console

from operations.health import Health, NodeHealth, check_node, make_table
from provisioning.agent_calls import Upload
from provisioning.exports import parse_exports
from provisioning.health import HealthReport, Probe
from provisioning.inventory import Inventory, RemoteNode


def node(name: str, address: str) -> dict[str, Any]:
    return {
        "name": name, "instance_id": f"ins-{name}", "private_address": address, "ssh_address": address,
        "user": "debian", "host_keys": ["ssh-ed25519 AAAA"], "eligible": True,
    }  # fmt: skip


OUTPUTS: dict[str, Any] = {
    "group": "tandem-local",
    "nodes": [node("iam-a", "10.0.4.20"), node("iam-b", "10.0.4.21")],
    "virtual_ips": ["10.0.4.99"],
    "profile": "fast",
    "ssh": {"private_key": "KEY"},
}


def read_inventory(outputs: dict[str, Any]) -> Inventory:
    exports = parse_exports(outputs)
    assert exports is not None
    return exports.inventory


def shown(health: Health) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(make_table(health, OUTPUTS))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def probe(*, ok: bool, seen: str) -> HealthReport:
    return HealthReport((Probe("api through 203.0.113.10", "https://iam.api.example.com/healthz", ok, seen, 3.2),))


def test_the_inventory_is_read_from_the_outputs() -> None:
    inventory = read_inventory(OUTPUTS)
    assert [host.name for host in inventory.nodes] == ["iam-a", "iam-b"]
    assert inventory.get("iam-b").private_address == "10.0.4.21"
    assert inventory.private_key == "KEY"


def test_the_table_of_a_healthy_group_names_master_and_backup() -> None:
    first, second = read_inventory(OUTPUTS).nodes
    health = Health(
        probe(ok=True, seen='200 {"status":"ok"}'),
        (NodeHealth(first, True, ("10.0.4.99",), ""), NodeHealth(second, True, (), "")),
    )
    assert health.healthy
    text = shown(health)
    assert "master of 10.0.4.99" in text
    assert "backup" in text
    assert "FAIL" not in text


def test_a_failed_node_is_shown_with_its_error_and_the_group_is_not_healthy() -> None:
    first, second = read_inventory(OUTPUTS).nodes
    health = Health(
        probe(ok=True, seen='200 {"status":"ok"}'),
        (NodeHealth(first, True, ("10.0.4.99",), ""), NodeHealth(second, False, (), "no SSH within 10 s")),
    )
    assert not health.healthy
    assert "no SSH within 10 s" in shown(health)


class FakeNode:
    """Returns a given result for each operation; any other operation is an error."""

    def __init__(self, node: RemoteNode, answers: dict[str, Any]) -> None:
        self.node = node
        self._answers = answers

    def call(
        self,
        operations: Sequence[dict[str, Any]],
        *,
        token: str = "",
        upload: Upload | None = None,
        deadline_s: float = 0,
        report: Callable[[str], None] = lambda _line: None,
    ) -> list[Any]:
        del token, upload, deadline_s, report
        return [self._answers[operation["do"]] for operation in operations]

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("idle", "seen"), [([], ""), (["iam-apiserver"], "not running: iam-apiserver")])
def test_an_application_node_is_checked_for_its_units_only(idle: list[str], seen: str) -> None:
    (host,) = read_inventory({**OUTPUTS, "nodes": [{**node("iam-c", "10.0.4.22"), "eligible": False}]}).nodes
    health = check_node(FakeNode(host, {"idle": idle}), ["10.0.4.99"])
    assert (health.serves, health.seen) == (not idle, seen)


def test_an_eligible_node_is_checked_for_nginx_and_keepalived() -> None:
    host, _ = read_inventory(OUTPUTS).nodes
    health = check_node(FakeNode(host, {"serves": False, "held": []}), ["10.0.4.99"])
    assert (health.serves, health.seen) == (False, "nginx or keepalived is not running or does not respond")
