"""A rollout takes services out of the upstreams before it restarts them, unless nothing else serves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from provisioning_fakes import ME, MY_GROUP, FakeGroup, PowerCutError

from provisioning.agent.put_back_timer import AFTER_S
from provisioning.errors import SwitchoverError
from provisioning.kinds.account import Account
from provisioning.kinds.base import Item, restart
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.unit import Unit
from provisioning.manifest import Manifest
from provisioning.rollout.rollout import roll_out

UPSTREAMS = "upstream iam {\n    server 10.0.4.20:8080 max_fails=1;\n    server 10.0.4.21:8080 max_fails=1;\n}\n"


def items(address: str, version: int, *first: Item) -> tuple[Item, ...]:
    gate = Gate("iam-apiserver", f"http://{address}:8080/healthz", deadline_s=1)
    known = {"units": ["iam-apiserver"], "gates": [{"name": gate.name, "url": gate.url, "status": gate.status}]}
    return (
        *first,
        File("/etc/iam.yaml", f"{version}\n", ME, MY_GROUP, after=(restart("iam-apiserver"),)),
        Unit("iam-apiserver"),
        Unit("keepalived"),
        File("/etc/nginx/conf.d/upstreams.conf", UPSTREAMS, ME, MY_GROUP),
        File("/etc/tandem/node.json", json.dumps(known), ME, MY_GROUP),
        gate,
    )


class Lab:
    def __init__(self, root: Path) -> None:
        self.group = FakeGroup(root)
        self.order: list[str] = []
        self.reported: list[str] = []
        self.deploy(1)
        self.group.before_effect = lambda node, effect: self.order.append(f"{node}: {effect}")
        self.order.clear()

    def deploy(self, version: int, *first: Item) -> None:
        manifests = {
            node.name: Manifest(node.name, items(node.private_address, version, *first))
            for node in self.group.inventory.nodes
        }
        roll_out(self.group.inventory, manifests, {}, self.reported.append, connect=self.group.connect)

    def restarts(self) -> list[str]:
        return [effect for effect in self.order if "restart" in effect]

    def upstreams(self, node: str) -> str:
        return (self.group.systems[node].root / "etc/nginx/conf.d/upstreams.conf").read_text()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_a_service_is_down_in_every_upstream_when_it_restarts(lab: Lab) -> None:
    seen: list[str] = []

    def look(node: str, effect: str) -> None:
        if effect == "restart iam-apiserver":
            address = lab.group.inventory.get(node).private_address
            seen.extend(name for name in lab.group.systems if f"{address}:8080 down" in lab.upstreams(name))

    lab.group.before_effect = look
    lab.deploy(2)
    assert seen == ["iam-a", "iam-b"] * 2
    assert {lab.upstreams(name) for name in lab.group.systems} == {UPSTREAMS}


def test_a_restart_that_an_interrupted_run_has_left_waits_until_the_node_is_out_of_the_upstreams(lab: Lab) -> None:
    """Not in the first part of the rollout, which changes accounts while the node serves."""
    seen: list[str] = []

    def cut(node: str, effect: str) -> None:
        if (node, effect) == ("iam-b", "restart iam-apiserver"):
            raise PowerCutError

    def look(node: str, effect: str) -> None:
        if effect == "restart iam-apiserver":
            address = lab.group.inventory.get(node).private_address
            seen.extend(name for name in lab.group.systems if f"{address}:8080 down" in lab.upstreams(name))

    lab.group.before_effect = cut
    lab.group.held_by("iam-a")
    with pytest.raises(PowerCutError):
        lab.deploy(2)
    lab.group.before_effect = look
    lab.group.tick(AFTER_S)
    for node in lab.group.inventory.nodes:
        lab.group.connect(node).call([{"do": "put_back"}])
    lab.deploy(2, Account("iam", "10.0.4.22", "secret"))
    assert seen == ["iam-a", "iam-b"] * 2


def test_the_last_instance_that_serves_is_not_restarted(lab: Lab) -> None:
    lab.group.silent.add(("iam-b", ":8080"))
    lab.group.systems["iam-a"].root.joinpath("etc/iam.yaml").write_text("drifted\n")
    with pytest.raises(SwitchoverError) as caught:
        lab.deploy(1)
    assert "iam-a cannot be taken out of service: no other node serves iam-apiserver" in str(caught.value)
    assert "iam-b: iam-apiserver: http://10.0.4.21:8080/healthz: ConnectionRefusedError" in str(caught.value)
    assert lab.restarts() == []
    assert lab.upstreams("iam-b") == UPSTREAMS


def test_a_broken_node_is_repaired_before_the_last_one_that_serves(lab: Lab) -> None:
    lab.group.silent.add(("iam-a", ":8080"))

    def repair(node: str, effect: str) -> None:
        lab.order.append(f"{node}: {effect}")
        if (node, effect) == ("iam-a", "restart iam-apiserver"):
            lab.group.silent.clear()
        if effect == "drain":
            lab.group.held_by("iam-b" if node == "iam-a" else "iam-a")

    lab.group.before_effect = repair
    lab.group.held_by("iam-a")  # usually the master is the last
    lab.deploy(2)
    assert lab.restarts() == ["iam-a: restart iam-apiserver", "iam-b: restart iam-apiserver"]
