from __future__ import annotations

from pathlib import Path

import pytest
from provisioning_fakes import FakeGroup

from provisioning.errors import SwitchoverError
from provisioning.switchover import retire, switch_over


@pytest.fixture
def group(tmp_path: Path) -> FakeGroup:
    made = FakeGroup(tmp_path)
    made.held_by("iam-a")
    for system in made.systems.values():
        system.units = {"keepalived": "active", "nginx": "active"}
        (system.root / "etc/tandem").mkdir(parents=True)
        (system.root / "etc/tandem/switchover.json").write_text(
            '{"drain": -10, "fault": -254, "drain_s": 2, "tracked": true}'
        )
        (system.root / "etc/tandem/node.json").write_text('{"units": ["mariadb", "nginx", "keepalived"]}')
        (system.root / "run/tandem").mkdir(parents=True)
        (system.root / "run/tandem/nginx").write_text("0\n")
    return made


def move_on(group: FakeGroup, value: str) -> None:
    """Keepalived as it is: the peer takes the address when it reads this value."""

    def watch(argv: list[str]) -> None:
        if argv[0] == "ip" and (group.systems["iam-a"].root / "run/tandem/nginx").read_text().strip() == value:
            group.held_by("iam-b")

    group.systems["iam-a"].on_command = watch


def test_the_address_goes_to_a_serving_peer_after_clients_were_asked_to_go(group: FakeGroup) -> None:
    move_on(group, "-10")
    told: list[str] = []
    group.before_effect = lambda host, effect: told.append(f"{host}: {effect}")
    began = group.clock
    moved = switch_over(group.inventory, "iam-a", connect=group.connect)
    assert (moved.addresses, moved.to) == (("10.0.4.99",), "iam-b")
    assert told == ["iam-a: drain"]
    assert group.clock - began >= 2
    root = group.systems["iam-a"].root
    assert (root / "run/tandem/nginx-drain.conf").read_text() == "keepalive_timeout 0;\n"
    assert group.systems["iam-a"].log == ["reload nginx"]
    assert (root / "run/tandem/drain").exists(), "the node is about to stop: it stays drained"


def test_it_is_refused_and_nothing_changed_while_no_peer_serves(group: FakeGroup) -> None:
    group.systems["iam-b"].units["keepalived"] = "inactive"
    with pytest.raises(SwitchoverError) as caught:
        switch_over(group.inventory, "iam-a", connect=group.connect)
    assert "iam-a cannot hand 10.0.4.99 over: no other node serves; nothing was changed" in str(caught.value)
    assert group.systems["iam-a"].addresses == {"10.0.4.99"}
    assert not (group.systems["iam-a"].root / "run/tandem/drain").exists()


def test_it_is_refused_while_the_peer_cannot_be_reached(group: FakeGroup) -> None:
    group.unreachable.add("iam-b")
    with pytest.raises(SwitchoverError) as caught:
        switch_over(group.inventory, "iam-a", connect=group.connect)
    assert "no other node could be reached" in str(caught.value)


def test_a_peer_that_does_not_hear_the_lower_priority_takes_over_when_this_one_is_in_fault(group: FakeGroup) -> None:
    move_on(group, "-254")
    assert switch_over(group.inventory, "iam-a", connect=group.connect).to == "iam-b"


def test_an_address_that_does_not_leave_ends_the_drain_with_an_error(group: FakeGroup) -> None:
    with pytest.raises(Exception, match="did not leave within 30 s; the drain was ended"):
        switch_over(group.inventory, "iam-a", connect=group.connect)
    root = group.systems["iam-a"].root
    assert not (root / "run/tandem/drain").exists()
    assert (root / "run/tandem/nginx").read_text() == "0\n"
    assert not (root / "run/tandem/nginx-drain.conf").exists()


def test_a_node_without_the_address_has_nothing_to_switch_over_and_stays_as_it_was(group: FakeGroup) -> None:
    group.held_by("iam-b")
    moved = switch_over(group.inventory, "iam-a", connect=group.connect)
    assert (moved.addresses, moved.to) == ((), "iam-b")
    assert not (group.systems["iam-a"].root / "run/tandem/drain").exists()


def test_a_dead_node_needs_no_switchover_when_a_peer_has_the_address_and_serves(group: FakeGroup) -> None:
    group.held_by("iam-b")
    group.unreachable.add("iam-a")
    assert switch_over(group.inventory, "iam-a", connect=group.connect).to == "iam-b"


def test_a_dead_node_whose_address_nobody_has_is_an_error(group: FakeGroup) -> None:
    group.held_by("nobody")
    group.unreachable.add("iam-a")
    with pytest.raises(SwitchoverError, match="cannot be reached, and no other node holds"):
        switch_over(group.inventory, "iam-a", connect=group.connect)


def test_a_retired_node_has_switched_over_and_stopped_the_last_unit_first(group: FakeGroup) -> None:
    move_on(group, "-10")
    group.systems["iam-a"].units["mariadb"] = "active"
    assert retire(group.inventory, "iam-a", connect=group.connect).to == "iam-b"
    assert group.systems["iam-a"].log == ["reload nginx", "stop keepalived", "stop nginx", "stop mariadb"]


def test_a_node_is_not_retired_while_no_peer_serves(group: FakeGroup) -> None:
    group.systems["iam-b"].units["keepalived"] = "failed"
    with pytest.raises(SwitchoverError):
        retire(group.inventory, "iam-a", connect=group.connect)
    assert group.systems["iam-a"].log == []


def test_retiring_a_dead_node_is_no_error_when_a_peer_serves(group: FakeGroup) -> None:
    group.held_by("iam-b")
    group.unreachable.add("iam-a")
    assert retire(group.inventory, "iam-a", connect=group.connect).to == "iam-b"


def test_a_node_says_which_of_its_units_do_not_run(group: FakeGroup) -> None:
    connection = group.connect(group.inventory.get("iam-a"))
    assert connection.call([{"do": "idle"}]) == [["mariadb"]]
    group.systems["iam-a"].units["mariadb"] = "active"
    assert connection.call([{"do": "idle"}]) == [[]]
    (group.systems["iam-a"].root / "etc/tandem/node.json").unlink()
    assert connection.call([{"do": "idle"}]) == [["everything"]]
