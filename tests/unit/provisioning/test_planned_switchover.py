from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_node_changes import VIP, VIP2, Lab

from operations.errors import OperationError
from operations.switchover import Clock, run
from provisioning.errors import SwitchoverError, UnreachableError
from provisioning.health.checks import PublicSide
from provisioning.health.public_checks import Address, Service
from provisioning.inventory import Inventory, RemoteNode
from provisioning.traffic.planned_switchover import choose_leaving, switch_back, switch_over
from provisioning.traffic.serving import NodeState

PUBLIC = PublicSide((Address("203.0.113.9"),), (Service("api", "iam.api.example.com"),), "")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def prefer(lab: Lab, addresses: dict[str, list[str]]) -> None:
    """Settings of a mode in which a node gets its preferred virtual IPs back when its drain ends."""
    for name, preferred in addresses.items():
        file = lab.group.systems[name].root / "etc/tandem/switchover.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "preferred": preferred}))


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


def test_nothing_is_released_if_no_node_serves(lab: Lab) -> None:
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


# ---- confirmed from outside -----------------------------------------------------------------------------------------


def clock() -> Clock:
    times = [0.0]

    def sleep(seconds: float) -> None:
        times[0] += seconds

    return Clock(lambda: times[0], sleep)


def after(failures: int) -> Callable[[Address, Service], tuple[bool, str]]:
    sent: list[Address] = []

    def send(address: Address, _service: Service) -> tuple[bool, str]:
        sent.append(address)
        return len(sent) > failures, "200 in 3 ms" if len(sent) > failures else "ConnectTimeout"

    return send


def test_a_switchover_is_confirmed_by_a_request_through_the_public_ip(lab: Lab) -> None:
    run(lab.changes, PUBLIC, send=after(5), clock=clock())
    assert lab.reported[-1] == (
        "iam.api.example.com answers through 203.0.113.9: 200 in 3 ms, 1.0 s after the switchover"
    )


def test_a_switchover_that_no_client_can_see_is_an_error(lab: Lab) -> None:
    with pytest.raises(OperationError, match=r"does not answer through 203\.0\.113\.9 within 30 s\n  ConnectTimeout"):
        run(lab.changes, PUBLIC, send=after(10_000), clock=clock())


def test_back_and_to_exclude_each_other(lab: Lab) -> None:
    with pytest.raises(OperationError, match="--back cannot be combined with --to"):
        run(lab.changes, PUBLIC, to="iam-b", back=True)
