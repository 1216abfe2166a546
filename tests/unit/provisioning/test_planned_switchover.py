from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_node_changes import VIP, VIP2, Lab

from provisioning.errors import SwitchoverError, UnreachableError
from provisioning.health.node_checks import check_node
from provisioning.health.results import Level
from provisioning.inventory import Inventory, RemoteNode
from provisioning.traffic.node_changes import Group, drain_node, put_back_node
from provisioning.traffic.planned_switchover import choose_leaving, switch_back, switch_over
from provisioning.traffic.serving import NodeState


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def prefer(lab: Lab, addresses: dict[str, list[str]]) -> None:
    """Settings of a mode in which a node gets its preferred virtual IPs back when its drain ends."""
    for name, preferred in addresses.items():
        file = lab.group.systems[name].root / "etc/tandem/switchover.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "preferred": preferred}))


def vrrp(lab: Lab, name: str) -> tuple[Level, str]:
    """What `tandem health` says about a node and keepalived."""
    connection = lab.group.connect(lab.group.inventory.get(name))
    (found,) = [each for each in check_node(connection, (), (VIP,), "nonce").results if each.name == "VRRP"]
    return found.level, found.look_at


def return_to_preferred(lab: Lab, preferred: dict[str, list[str]]) -> None:
    """Simulate the preemption of keepalived as soon as a node is not drained."""
    elect = lab.elect

    def preempt(node: str) -> None:
        elect(node)
        for name, addresses in preferred.items():
            if lab.value(name) == "0" and not lab.drained(name):
                for address in addresses:
                    lab.group.held_by(name, address)

    lab.elect = preempt  # type: ignore[method-assign] - a method of the fake


def test_the_peer_of_the_master_becomes_master_and_the_old_one_may_take_over_again(lab: Lab) -> None:
    (moved,) = switch_over(lab.changes, None)
    assert (moved.address, moved.to) == (VIP, "iam-b")
    assert lab.confirmed == [(VIP, "iam-b")]
    assert lab.is_as_before(), "the drain has ended, and no service left the upstreams"


def test_a_virtual_ip_that_moves_while_the_nodes_are_read_is_read_again(lab: Lab) -> None:
    lab.group.systems["iam-a"].addresses.remove(VIP)
    sleep = lab.sleep

    def take_over(seconds: float) -> None:
        sleep(seconds)
        lab.group.held_by("iam-b")

    lab.sleep = take_over  # type: ignore[method-assign] - a method of the fake
    (moved,) = switch_over(lab.changes, None)
    assert moved.to == "iam-a"


def test_open_client_connections_are_reported(lab: Lab) -> None:
    lab.group.systems["iam-a"].connections = [f"{VIP}:443"] * 3
    (moved,) = switch_over(lab.changes, "iam-b")
    assert moved.cut_connections == 3
    assert any("3 open client connections were cut off" in line for line in lab.reported)


def test_nothing_changes_if_the_requested_node_is_master_already(lab: Lab) -> None:
    assert switch_over(lab.changes, "iam-a") == ()
    assert lab.effects == []


def test_a_switchover_to_a_node_that_does_not_serve_is_refused(lab: Lab) -> None:
    lab.group.silent.add(("iam-b", "127.0.0.1/healthz"))
    with pytest.raises(SwitchoverError, match=r"no other node serves 10\.0\.4\.99; it was not changed"):
        switch_over(lab.changes, "iam-b")
    assert lab.is_as_before()


def test_no_virtual_ip_is_released_if_no_node_serves(lab: Lab) -> None:
    lab.group.silent |= {("iam-a", "/healthz"), ("iam-b", "/healthz")}
    with pytest.raises(SwitchoverError, match=r"iam-a cannot release 10\.0\.4\.99: no other node serves"):
        switch_over(lab.changes, "iam-b")
    assert lab.group.systems["iam-a"].addresses == {VIP}
    assert lab.is_as_before()


def test_with_preemption_the_node_stays_drained_until_the_switch_back(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    prefer(lab, {"iam-a": [VIP]})
    return_to_preferred(lab, {"iam-a": [VIP]})
    switch_over(lab.changes, "iam-b")
    assert lab.drained("iam-a")
    assert not lab.group.systems["iam-a"].timers, "no timer ends the drain"
    assert vrrp(lab, "iam-a") == (Level.WARNING, "tandem switchover --back")
    assert not (lab.group.systems["iam-a"].root / "run/tandem/nginx-drain.conf").exists()
    (moved,) = switch_back(lab.changes)
    assert (moved.address, moved.to) == (VIP, "iam-a")
    assert lab.is_as_before()


def test_a_switchover_to_the_drained_node_is_the_way_back_too(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    prefer(lab, {"iam-a": [VIP]})
    return_to_preferred(lab, {"iam-a": [VIP]})
    switch_over(lab.changes, "iam-b")
    (moved,) = switch_over(lab.changes, "iam-a")
    assert moved.to == "iam-a"
    assert lab.is_as_before()


@pytest.mark.parametrize(
    ("preferred", "call"),
    [
        pytest.param([], "preferred_while_drained", id="after the move"),
        pytest.param([], "end_drain", id="before the drain ends"),
        pytest.param([VIP], "keep_drained", id="with preemption"),
    ],
)
def test_a_switchover_that_is_interrupted_after_the_move_leaves_no_drained_node(
    tmp_path: Path, preferred: list[str], call: str
) -> None:
    """The node itself would end the drain only after 15 minutes."""
    lab = Lab(tmp_path)
    prefer(lab, {"iam-a": preferred})
    return_to_preferred(lab, {"iam-a": preferred})
    interrupted: list[str] = []

    def press(node: str, when: str, names: list[str]) -> None:
        if (node, when, names) == ("iam-a", "before", [call]) and not interrupted:
            interrupted.append(call)
            raise KeyboardInterrupt

    lab.group.link = press
    with pytest.raises(KeyboardInterrupt):
        switch_over(lab.changes, "iam-b")
    assert lab.confirmed[0] == (VIP, "iam-b")
    assert lab.is_as_before()


@pytest.mark.parametrize("back", [False, True])
def test_the_error_of_a_switchover_is_not_hidden_by_a_drain_that_cannot_be_ended(tmp_path: Path, *, back: bool) -> None:
    lab = Lab(tmp_path)
    prefer(lab, {"iam-a": [VIP]})
    return_to_preferred(lab, {"iam-a": [VIP]})
    if back:
        switch_over(lab.changes, "iam-b")
    failed: list[str] = []

    def confirm(address: str, _node: RemoteNode) -> str:
        failed.append(address)
        raise SwitchoverError("the HAVIP does not follow")

    def cut(_node: str, _when: str, names: list[str]) -> None:
        if failed and {"end_drain", "stop_asking"} & set(names):
            raise UnreachableError("the SSH connection broke")

    lab.group.link = cut
    changes = replace(lab.changes, confirm=confirm)
    with pytest.raises(SwitchoverError, match="the HAVIP does not follow"):
        switch_back(changes) if back else switch_over(changes, "iam-b")
    assert failed == [VIP]


def test_in_dual_master_mode_one_node_takes_both_virtual_ips(tmp_path: Path) -> None:
    lab = Lab(tmp_path, virtual_ips=(VIP, VIP2))
    lab.group.held_by("iam-b", VIP2)
    prefer(lab, {"iam-a": [VIP], "iam-b": [VIP2]})
    (moved,) = switch_over(lab.changes, "iam-b")
    assert (moved.address, moved.to) == (VIP, "iam-b")
    assert lab.group.systems["iam-b"].addresses == {VIP, VIP2}


def test_in_dual_master_mode_the_drained_node_takes_both_virtual_ips_too(tmp_path: Path) -> None:
    """It gets its own one back as soon as its drain ends, and the other one must follow."""
    lab, own = Lab(tmp_path, virtual_ips=(VIP, VIP2)), {"iam-a": [VIP], "iam-b": [VIP2]}
    lab.group.held_by("iam-b", VIP2)
    prefer(lab, own)
    return_to_preferred(lab, own)
    switch_over(lab.changes, "iam-b")
    moves = switch_over(lab.changes, "iam-a")
    assert [(move.address, move.to) for move in moves] == [(VIP, "iam-a"), (VIP2, "iam-a")]
    assert lab.group.systems["iam-a"].addresses == {VIP, VIP2}
    switch_back(lab.changes)
    assert [lab.group.systems[name].addresses for name in own] == [{VIP}, {VIP2}]
    assert lab.is_as_before()


COMMANDS: dict[str, Callable[[Group], object]] = {
    "switchover": lambda group: switch_over(group, None),
    "switchover --to": lambda group: switch_over(group, "iam-a"),
    "switchover --back": switch_back,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_switchover_does_not_put_back_a_node_that_an_operator_keeps_out(tmp_path: Path, command: str) -> None:
    lab = Lab(tmp_path)
    prefer(lab, {"iam-a": [VIP]})
    return_to_preferred(lab, {"iam-a": [VIP]})
    drain_node(lab.changes, "iam-a", 3600)
    with pytest.raises(SwitchoverError, match="iam-a is out of service by `tandem drain`") as error:
        COMMANDS[command](lab.changes)
    assert error.value.look_at == "tandem undrain iam-a"
    assert lab.group.systems["iam-b"].addresses == {VIP}
    assert "server 10.0.4.20:8080 down" in lab.upstreams("iam-b")
    put_back_node(lab.changes, "iam-a")
    assert lab.is_as_before()


def test_there_is_nothing_to_switch_back_without_a_drained_node(lab: Lab) -> None:
    with pytest.raises(SwitchoverError, match="no node is drained by a switchover"):
        switch_back(lab.changes)


# ---- the choice -----------------------------------------------------------------------------------------------------


def state(name: str, *held: str, unreachable: str = "") -> NodeState:
    node = RemoteNode(name, f"ins-{name}", "10.0.4.20", "10.0.4.20", "debian", (), eligible=True)
    return NodeState(node, held=held, can_be_master=True, unreachable=unreachable)


@pytest.mark.parametrize(
    ("states", "to", "error"),
    [
        pytest.param([state("a", VIP), state("b")], "c", "--to must be an eligible node: a or b", id="unknown node"),
        pytest.param([state("a", VIP)], None, "needs a second eligible node", id="one node"),
        pytest.param(
            [state("a", VIP), state("b", unreachable="no route")], None, "b cannot be queried", id="peer away"
        ),
        pytest.param([state("a"), state("b")], "b", "held by none", id="no master"),
        pytest.param([state("a", VIP), state("b", VIP)], "b", "held by a and b", id="two masters"),
    ],
)
def test_an_impossible_switchover_is_refused(states: list[NodeState], to: str | None, error: str) -> None:
    inventory = Inventory("test", tuple(each.node for each in states), (VIP,), "key")
    with pytest.raises(SwitchoverError, match=error):
        choose_leaving(states, inventory, to)


def test_with_two_virtual_ips_the_target_must_be_named() -> None:
    states = [state("a", VIP), state("b", VIP2)]
    inventory = Inventory("test", tuple(each.node for each in states), (VIP, VIP2), "key")
    with pytest.raises(SwitchoverError, match="--to is required, because a and b hold a virtual IP each"):
        choose_leaving(states, inventory, None)
    assert choose_leaving(states, inventory, "b") == "a"
