"""A change of the VRRP settings on simulated nodes: at no point do two nodes run keepalived with different settings."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path

import pytest
from provisioning_fakes import ME, MY_GROUP, SWITCHOVER, FakeGroup

from provisioning.errors import GateError, ProvisioningError
from provisioning.kinds.base import Item, reload
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.unit import Unit
from provisioning.kinds.vrrp import Vrrp
from provisioning.manifest import Manifest
from provisioning.rollout.drift import drift
from provisioning.rollout.rollback import roll_back
from provisioning.rollout.rollout import RolloutResult, roll_out

NODES = ("iam-a", "iam-b")
VIP = "10.0.4.99"
CONF = "/etc/keepalived/keepalived.conf"
APART = (CONF, "unit keepalived", "VRRP settings")


def manifests(router_id: int, nginx: str = "1") -> dict[str, Manifest]:
    items: tuple[Item, ...] = (
        File("/etc/nginx/nginx.conf", f"{nginx}\n", ME, MY_GROUP, after=(reload("nginx"),)),
        Unit("nginx"),
        Gate("nginx", "http://10.0.4.20/healthz"),
        File(CONF, f"virtual_router_id {router_id}\n", ME, MY_GROUP, after=(reload("keepalived"),)),
        Unit("keepalived"),
        Vrrp(f"id {router_id}", (CONF, "unit keepalived")),
    )
    return {name: Manifest(name, items) for name in NODES}


class Vrrps:
    """Which node holds the virtual IP, from what keepalived on each node has read."""

    def __init__(self, group: FakeGroup) -> None:
        self.group = group
        self.log: list[str] = []

    def settings(self) -> dict[str, str]:
        """The settings that each running keepalived has read."""
        systems = self.group.systems
        return {name: systems[name].loaded["keepalived"][CONF].split()[1]
                for name in NODES if systems[name].units.get("keepalived") == "active"}  # fmt: skip

    def update(self) -> None:
        """Elect a master for each group of nodes with the same settings; the present one stays."""
        running = self.settings()
        assert len(set(running.values())) <= 1, f"two masters: {running}"
        holders = [name for name in running if self.group.systems[name].addresses]
        drained = {name for name in running if self.drained(name)}
        fit = [name for name in running if name not in drained] or list(running)
        master = next((name for name in holders if name in fit), next(iter(fit), ""))
        self.group.held_by(master)

    def drained(self, name: str) -> bool:
        file = self.group.systems[name].root / "run/tandem/drain-VI_1"
        return file.exists() and file.read_text() != "0\n"

    def effect(self, node: str, name: str) -> None:
        self.update()
        self.log.append(f"{node} {name}")


@pytest.fixture
def group(tmp_path: Path) -> FakeGroup:
    return make_group(tmp_path)


def make_group(root: Path, master: str = "iam-b") -> FakeGroup:
    group = FakeGroup(root)
    deploy(group, manifests(51))
    group.held_by(master)
    vrrps = Vrrps(group)
    group.before_effect = vrrps.effect
    group.on_sleep = vrrps.update
    return group


def deploy(group: FakeGroup, of: dict[str, Manifest], lines: list[str] | None = None) -> RolloutResult:
    return roll_out(group.inventory, of, {}, (lines if lines is not None else []).append, connect=group.connect)


def effects(group: FakeGroup) -> list[str]:
    vrrps = Vrrps(group)
    group.before_effect = vrrps.effect
    return vrrps.log


def test_the_backup_is_stopped_before_the_master_reloads_and_started_after_it(group: FakeGroup) -> None:
    log, lines = effects(group), list[str]()
    deploy(group, manifests(52), lines)
    bookkeeping = ("stage", "lock", "accept", "keep previous")
    assert [line for line in log if not any(word in line for word in bookkeeping)] == [
        "iam-a enable keepalived",  # the effect of both directions has this name
        "iam-a stop keepalived",
        "iam-b record the VRRP settings",  # as unknown
        f"iam-b write {CONF}",
        "iam-b reload keepalived",
        "iam-b record the VRRP settings",
        "iam-a record the VRRP settings",
        f"iam-a write {CONF}",
        "iam-a enable keepalived",
        "iam-a start keepalived",
        "iam-a record the VRRP settings",
    ]
    assert Vrrps(group).settings() == {"iam-a": "52", "iam-b": "52"}
    # The lost redundancy is announced.
    assert any("no other node can take over from iam-b" in line for line in lines)


def test_a_second_run_changes_nothing(group: FakeGroup) -> None:
    deploy(group, manifests(52))
    assert deploy(group, manifests(52)).changed == {}


def test_other_settings_of_keepalived_need_no_stop(group: FakeGroup) -> None:
    log = effects(group)
    changed = {
        name: Manifest(name, tuple(
            File(CONF, "virtual_router_id 51 # other\n", ME, MY_GROUP, after=(reload("keepalived"),))
            if item.label == CONF else item
            for item in manifest.items
        ))
        for name, manifest in manifests(51).items()
    }  # fmt: skip
    deploy(group, changed)
    assert not [line for line in log if "stop" in line]


def test_a_failed_gate_leaves_the_settings_of_all_nodes_as_they_are(group: FakeGroup) -> None:
    group.gates_pass = False
    with pytest.raises((GateError, ProvisioningError)):
        deploy(group, manifests(52, nginx="2"))
    assert Vrrps(group).settings() == {"iam-a": "51", "iam-b": "51"}


def test_a_change_that_fails_half_way_leaves_the_backup_stopped_and_says_so(group: FakeGroup) -> None:
    vrrps = Vrrps(group)

    def fail(node: str, effect: str) -> None:
        vrrps.effect(node, effect)
        if (node, effect) == ("iam-b", f"write {CONF}"):
            raise OSError(28, "No space left on device")

    group.before_effect = fail
    with pytest.raises(ProvisioningError, match="keepalived stays stopped on iam-a, so that there is one master"):
        deploy(group, manifests(52))
    assert group.systems["iam-a"].units["keepalived"] == "inactive"
    assert "keepalived" not in group.systems["iam-a"].enabled, "it would start at the next boot"
    # The state is visible as drift, and the next run completes the change.
    assert "unit keepalived: not enabled" in drift(group.inventory, manifests(51), {}, connect=group.connect)["iam-a"]
    group.before_effect = vrrps.effect
    deploy(group, manifests(52))
    assert vrrps.settings() == {"iam-a": "52", "iam-b": "52"}


def test_a_backup_whose_keepalived_does_not_stop_is_not_reported_as_stopped(group: FakeGroup) -> None:
    group.systems["iam-a"].fails = lambda verb, unit: (verb, unit) == ("stop", "keepalived")
    with pytest.raises(ProvisioningError, match="systemctl stop keepalived failed") as caught:
        deploy(group, manifests(52))
    assert "stays stopped" not in caught.value.message
    assert "tandem up" in caught.value.look_at


def test_settings_that_are_reset_after_an_interruption_converge_too(tmp_path: Path) -> None:
    """The operator gives up the change: the next run has the old settings again."""
    for number in range(12):
        group = make_group(tmp_path / str(number))
        interrupt(group, number, manifests(52))
        deploy(group, manifests(51))
        Vrrps(group).update()
        assert Vrrps(group).settings() == {"iam-a": "51", "iam-b": "51"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("master", NODES)
def test_at_no_point_of_an_interrupted_change_two_nodes_are_master(tmp_path: Path, master: str) -> None:
    completed = False
    for number in range(60):
        group = make_group(tmp_path / f"{master}{number}", master)
        completed = not interrupt(group, number, manifests(52, nginx="2"))
        Vrrps(group).update()
        deploy(group, manifests(52, nginx="2"))
        Vrrps(group).update()
        assert Vrrps(group).settings() == {"iam-a": "52", "iam-b": "52"}
        assert drift(group.inventory, manifests(52, nginx="2"), {}, connect=group.connect) == {}
        if completed:
            break
    assert completed, "the last runs must not have been interrupted"


def interrupt(group: FakeGroup, number: int, of: dict[str, Manifest]) -> bool:
    """Deploy and cut the power before the effect of that number. Returns whether the run was interrupted."""
    group.before_effect = Vrrps(group).effect
    return group.cut_power(number, partial(deploy, group, of))


def test_a_revision_that_changed_the_vrrp_settings_is_not_rolled_back_node_by_node(group: FakeGroup) -> None:
    deploy(group, manifests(52))
    with pytest.raises(ProvisioningError, match="changed the VRRP settings, which all nodes must share"):
        roll_back(group.inventory, {}, lambda _line: None, group.connect)
    assert Vrrps(group).settings() == {"iam-a": "52", "iam-b": "52"}
    deploy(group, manifests(52, nginx="2"))
    roll_back(group.inventory, {}, lambda _line: None, group.connect)
    assert Vrrps(group).settings() == {"iam-a": "52", "iam-b": "52"}


def test_in_dual_master_mode_both_virtual_ips_stay_with_one_node_and_return_afterwards(tmp_path: Path) -> None:
    """Keepalived itself would return the second one only after its preempt_delay of 300 s."""
    second = "10.0.4.98"
    group = FakeGroup(tmp_path)
    group.inventory = dataclasses.replace(group.inventory, virtual_ips=(VIP, second))
    preferred = {"iam-a": VIP, "iam-b": second}
    for name, address in preferred.items():
        routers = {"VI_1": [VIP], "VI_2": [second]}
        settings = {**SWITCHOVER, "routers": routers, "drain": -20, "preferred": [address]}
        (group.systems[name].root / "etc/tandem/switchover.json").write_text(json.dumps(settings))
    deploy(group, manifests(51))
    for name, address in preferred.items():
        group.held_by(name, address)
    seen: list[tuple[str, ...]] = []

    def elect(argv: list[str]) -> None:
        """A virtual IP leaves a node that is stopped or in FAULT; the other node takes it."""
        running = Vrrps(group).settings()
        assert len(set(running.values())) <= 1, f"two masters: {running}"
        for number, address in enumerate((VIP, second), start=1):
            holder = next((name for name in NODES if address in group.systems[name].addresses), None)
            fit = [name for name in running if read_drain(group, name, number) == "0"]
            if holder not in fit and fit and argv[0] == "ip":
                group.held_by(fit[0], address)
        seen.append(tuple(running))

    for system in group.systems.values():
        system.on_command = elect
    lines: list[str] = []
    deploy(group, manifests(52), lines)
    assert Vrrps(group).settings() == {"iam-a": "52", "iam-b": "52"}
    assert {name: group.systems[name].addresses for name in NODES} == {"iam-a": {VIP}, "iam-b": {second}}
    assert any(len(running) == 1 for running in seen), "keepalived ran on one node only"
    assert not any(read_drain(group, name, number) != "0" for name in NODES for number in (1, 2))


def read_drain(group: FakeGroup, name: str, router: int) -> str:
    file = group.systems[name].root / f"run/tandem/drain-VI_{router}"
    return file.read_text().strip() if file.exists() else "0"


def test_a_node_that_is_eligible_again_records_its_settings_although_they_are_those_of_before(group: FakeGroup) -> None:
    """Without keepalived it kept the record of the group that it belonged to."""
    former = dict(manifests(52))
    former["iam-b"] = Manifest("iam-b", tuple(item for item in former["iam-b"].items if item.label not in APART))
    deploy(group, former)
    assert group.systems["iam-b"].units["keepalived"] != "active"
    deploy(group, manifests(51))
    assert drift(group.inventory, manifests(51), {}, connect=group.connect) == {}
