from __future__ import annotations

from pathlib import Path

import pytest
from provisioning_fakes import FakeGroup

from provisioning.errors import SwitchoverError
from provisioning.switchover import retire, switch_over


@pytest.fixture
def group(tmp_path: Path) -> FakeGroup:
    group = FakeGroup(tmp_path)
    group.held_by("iam-a")
    for system in group.systems.values():
        system.units = {"keepalived": "active", "nginx": "active"}
        (system.root / "etc/tandem").mkdir(parents=True)
        (system.root / "etc/tandem/switchover.json").write_text(
            '{"drain": -10, "fault": -254, "drain_s": 2, "tracked": true}'
        )
        (system.root / "etc/tandem/node.json").write_text('{"units": ["mariadb", "nginx", "keepalived"]}')
        (system.root / "run/tandem").mkdir(parents=True)
        (system.root / "run/tandem/nginx").write_text("0\n")
    return group


def move_when_tracked(group: FakeGroup, value: str) -> None:
    """Simulate keepalived: the virtual IP moves to iam-b when the track_file of iam-a contains this value."""

    def watch(argv: list[str]) -> None:
        if argv[0] == "ip" and (group.systems["iam-a"].root / "run/tandem/nginx").read_text().strip() == value:
            group.held_by("iam-b")

    group.systems["iam-a"].on_command = watch


def test_the_virtual_ip_moves_to_a_serving_peer_after_the_drain_time(group: FakeGroup) -> None:
    move_when_tracked(group, "-10")
    effects: list[str] = []
    group.before_effect = lambda node, effect: effects.append(f"{node}: {effect}")
    began = group.clock
    moved = switch_over(group.inventory, "iam-a", connect=group.connect)
    assert (moved.addresses, moved.to) == (("10.0.4.99",), "iam-b")
    assert effects == ["iam-a: drain"]
    assert group.clock - began >= 2
    root = group.systems["iam-a"].root
    assert (root / "run/tandem/nginx-drain.conf").read_text() == "keepalive_timeout 0;\n"
    assert group.systems["iam-a"].log == ["reload nginx"]
    assert (root / "run/tandem/drain").exists(), "the node is about to stop and must stay drained"


def test_a_switchover_without_a_serving_peer_is_rejected_and_changes_nothing(group: FakeGroup) -> None:
    group.systems["iam-b"].units["keepalived"] = "inactive"
    with pytest.raises(SwitchoverError) as caught:
        switch_over(group.inventory, "iam-a", connect=group.connect)
    assert "iam-a cannot switch over 10.0.4.99: no other node serves; nothing was changed" in str(caught.value)
    assert group.systems["iam-a"].addresses == {"10.0.4.99"}
    assert not (group.systems["iam-a"].root / "run/tandem/drain").exists()


def test_a_switchover_to_an_unreachable_peer_is_rejected(group: FakeGroup) -> None:
    group.unreachable.add("iam-b")
    with pytest.raises(SwitchoverError) as caught:
        switch_over(group.inventory, "iam-a", connect=group.connect)
    assert "no other node could be reached" in str(caught.value)


def test_a_peer_that_misses_the_lower_priority_takes_over_when_this_node_enters_fault(group: FakeGroup) -> None:
    move_when_tracked(group, "-254")
    assert switch_over(group.inventory, "iam-a", connect=group.connect).to == "iam-b"


def test_a_virtual_ip_that_is_not_released_is_an_error_and_ends_the_drain(group: FakeGroup) -> None:
    with pytest.raises(Exception, match="was not released within 30 s; the drain was ended"):
        switch_over(group.inventory, "iam-a", connect=group.connect)
    root = group.systems["iam-a"].root
    assert not (root / "run/tandem/drain").exists()
    assert (root / "run/tandem/nginx").read_text() == "0\n"
    assert not (root / "run/tandem/nginx-drain.conf").exists()


def test_a_backup_needs_no_switchover_and_is_not_changed(group: FakeGroup) -> None:
    group.held_by("iam-b")
    moved = switch_over(group.inventory, "iam-a", connect=group.connect)
    assert (moved.addresses, moved.to) == ((), "iam-b")
    assert not (group.systems["iam-a"].root / "run/tandem/drain").exists()


def test_an_unreachable_node_needs_no_switchover_if_a_peer_is_master_and_serves(group: FakeGroup) -> None:
    group.held_by("iam-b")
    group.unreachable.add("iam-a")
    assert switch_over(group.inventory, "iam-a", connect=group.connect).to == "iam-b"


def test_an_unreachable_node_is_an_error_if_no_peer_is_master(group: FakeGroup) -> None:
    group.held_by("none")
    group.unreachable.add("iam-a")
    with pytest.raises(SwitchoverError, match="cannot be reached, and no other node holds"):
        switch_over(group.inventory, "iam-a", connect=group.connect)


def test_a_retired_node_switches_over_and_stops_its_units_in_reverse_order(group: FakeGroup) -> None:
    move_when_tracked(group, "-10")
    group.systems["iam-a"].units["mariadb"] = "active"
    assert retire(group.inventory, "iam-a", connect=group.connect).to == "iam-b"
    assert group.systems["iam-a"].log == ["reload nginx", "stop keepalived", "stop nginx", "stop mariadb"]


def test_a_node_is_not_retired_without_a_serving_peer(group: FakeGroup) -> None:
    group.systems["iam-b"].units["keepalived"] = "failed"
    with pytest.raises(SwitchoverError):
        retire(group.inventory, "iam-a", connect=group.connect)
    assert group.systems["iam-a"].log == []


def test_an_unreachable_node_can_be_retired_if_a_peer_serves(group: FakeGroup) -> None:
    group.held_by("iam-b")
    group.unreachable.add("iam-a")
    assert retire(group.inventory, "iam-a", connect=group.connect).to == "iam-b"
