"""A rollout takes services out of the upstreams before it restarts them, unless nothing else serves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from provisioning_fakes import ME, MY_GROUP, SWITCHOVER, FakeGroup, PowerCutError

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


def test_a_refusal_after_the_first_node_says_what_was_changed(lab: Lab) -> None:
    def crash_later(node: str, effect: str) -> None:
        if (node, effect) == ("iam-b", "accept"):
            lab.group.silent.add(("iam-b", ":8080"))

    lab.group.before_effect = crash_later
    lab.group.held_by("iam-a")
    with pytest.raises(SwitchoverError) as caught:
        lab.deploy(2)
    assert caught.value.message == (
        "iam-a cannot be taken out of service: no other node serves iam-apiserver; it was not changed; the rollout "
        "stopped there (iam-b changed before it)"
    )


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


def break_nginx(group: FakeGroup) -> None:
    """Stop nginx on all nodes; a start repairs it."""
    for name, system in group.systems.items():
        system.units["nginx"] = "failed"
        group.silent.add((name, "/healthz"))

    def serve(node: str, effect: str) -> None:
        if effect == "start nginx":
            group.silent.discard((node, "/healthz"))
        if effect == "drain":
            peer = next(name for name in group.systems if name != node)
            assert not any(name == peer for name, _ in group.silent), "nothing is released that no peer can take"
            for address in group.inventory.virtual_ips:
                group.held_by(peer, address)

    group.before_effect = serve


@pytest.mark.parametrize("holders", [("iam-a", "iam-a"), ("iam-a", "iam-b")], ids=["one master", "dual-master"])
def test_a_group_that_does_not_serve_at_all_is_repaired(tmp_path: Path, holders: tuple[str, str]) -> None:
    group = FakeGroup(tmp_path)
    group.inventory = replace(group.inventory, virtual_ips=("10.0.4.98", "10.0.4.99"))
    routers = {"VI_1": ["10.0.4.98"], "VI_2": ["10.0.4.99"]}
    for system in group.systems.values():
        (system.root / "etc/tandem/switchover.json").write_text(json.dumps({**SWITCHOVER, "routers": routers}))

    def deploy() -> None:
        of = {
            node.name: Manifest(
                node.name,
                (Unit("nginx"), Unit("keepalived"), Gate("nginx", f"http://{node.private_address}/healthz")),
            )
            for node in group.inventory.nodes
        }
        roll_out(group.inventory, of, {}, connect=group.connect)

    deploy()
    for holder, address in zip(holders, group.inventory.virtual_ips, strict=True):
        group.held_by(holder, address)
    break_nginx(group)
    deploy()
    assert {system.units["nginx"] for system in group.systems.values()} == {"active"}
