"""A lost or replaced data disk never becomes an empty database without the operator's decision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from provisioning_fakes import FakeGroup, FakeSystem

from provisioning.agent.kinds.database import RESTORE_DEADLINE_S
from provisioning.change_lock import locked
from provisioning.errors import LostDataError, UnreachableError
from provisioning.kinds.base import Item
from provisioning.kinds.database import Database
from provisioning.kinds.file_system import FileSystem
from provisioning.kinds.unit import Unit
from provisioning.manifest import Manifest
from provisioning.rollout.held_data import decide
from provisioning.rollout.rollout import RolloutResult, roll_out

DEVICE = "/dev/disk/by-id/virtio-disk-1"
SCHEMA = "/opt/iam/1/sql/iam.sql"
VERSION = "a" * 12
DATA: tuple[Item, ...] = (FileSystem(DEVICE), Unit("mariadb"), Database("iam", SCHEMA, VERSION))


@pytest.fixture
def group(tmp_path: Path) -> FakeGroup:
    group = FakeGroup(tmp_path)
    attach(group.systems["iam-a"], "")
    group.systems["iam-a"].databases = {}
    return group


def attach(system: FakeSystem, content: str) -> None:
    device = system.root / DEVICE.lstrip("/")
    device.parent.mkdir(parents=True, exist_ok=True)
    device.write_text("")
    schema = system.root / SCHEMA.lstrip("/")
    schema.parent.mkdir(parents=True, exist_ok=True)
    schema.write_text("CREATE TABLE user (id INT);\n")
    system.disk = content


def deploy(group: FakeGroup, data: tuple[Item, ...] = DATA) -> RolloutResult:
    manifests = {"iam-a": Manifest("iam-a", data), "iam-b": Manifest("iam-b", (Unit("iam-apiserver"),))}
    return roll_out(group.inventory, manifests, {}, connect=group.connect)


def record(group: FakeGroup, node: str) -> dict[str, str]:
    return json.loads((group.systems[node].root / "var/lib/tandem/held_data.json").read_text())


def new_node(group: FakeGroup, name: str, *, disk: str | None) -> FakeSystem:
    """Replace a node by a new one with a data disk of this content."""
    before = group.systems[name].root
    system = FakeSystem(before.with_name(f"{before.name}-new"))
    (system.root / "etc").mkdir(parents=True)
    group.systems[name] = system
    if disk is not None:
        attach(system, disk)
    return system


def test_every_node_records_that_the_database_has_held_data(group: FakeGroup) -> None:
    deploy(group)
    assert [record(group, node) for node in ("iam-a", "iam-b")] == [{"database": "iam", "node": "iam-a"}] * 2
    assert deploy(group).changed == {}


def test_a_failed_first_rollout_records_nothing(group: FakeGroup) -> None:
    with pytest.raises(Exception, match="broken"):
        deploy(group, (Unit("broken"), *DATA))
    assert not (group.systems["iam-b"].root / "var/lib/tandem/held_data.json").exists()
    assert deploy(group).changed


def test_a_blank_disk_in_the_place_of_the_data_stops_the_rollout(group: FakeGroup) -> None:
    deploy(group)
    backup = group.systems["iam-b"].root / "var/lib/tandem-backup/received/20261127T020000Z.sql.gz"
    backup.parent.mkdir(parents=True)
    backup.write_bytes(b"x" * 2048)
    system = new_node(group, "iam-a", disk="")
    with pytest.raises(LostDataError) as caught:
        deploy(group)
    assert str(caught.value) == (
        f"iam-a (10.0.4.20): the data disk {DEVICE} is blank, but a database of this group has held data; "
        "no database was created\n"
        "  backups:\n"
        "    2026-11-27 02:00:00 UTC  2 KiB  on iam-b\n"
        "  look at: `tandem restore` (the newest backup), `tandem restore --at TIME`, or `tandem restore --empty` to "
        "start without the data; then `tandem up`. If a disk with the data exists, attach it instead "
        "(docs/operations.md)"
    )
    assert system.log == []


def test_a_loss_is_reported_even_if_a_node_cannot_list_its_backups(group: FakeGroup) -> None:
    deploy(group)
    new_node(group, "iam-a", disk="")

    def cut(node: str, _when: str, names: list[str]) -> None:
        if node == "iam-b" and "backups" in names:
            raise UnreachableError("iam-b: the SSH connection broke")

    group.link = cut
    with pytest.raises(LostDataError) as caught:
        deploy(group)
    assert caught.value.seen == "the backups cannot be listed: iam-b: the SSH connection broke"


def test_a_disk_that_is_attached_late_is_checked_on_the_node(group: FakeGroup) -> None:
    deploy(group)
    system = new_node(group, "iam-a", disk="")
    device = system.root / DEVICE.lstrip("/")
    device.unlink()

    def appears(_node: str, effect: str) -> None:
        if effect == "lock":
            device.write_text("")

    group.before_effect = appears
    with pytest.raises(LostDataError, match="is blank"):
        deploy(group)
    assert system.disk == ""


def test_another_disk_with_a_file_system_but_without_the_database_stops_the_rollout(group: FakeGroup) -> None:
    deploy(group)
    system = new_node(group, "iam-a", disk="ext4")

    def starts(argv: list[str]) -> None:
        if argv[:2] == ["systemctl", "start"] and system.databases is None:
            system.databases = {}  # an empty server

    system.on_command = starts
    with pytest.raises(LostDataError, match="database iam does not exist") as caught:
        deploy(group)
    assert system.databases == {}
    assert caught.value.commit_began, "so a node that the rollout removes stays stopped"


@pytest.mark.parametrize("data", [DATA, (*DATA[:2], Database("iam_prod", SCHEMA, VERSION))], ids=["dropped", "renamed"])
def test_a_missing_database_stops_the_rollout_before_any_change(group: FakeGroup, data: tuple[Item, ...]) -> None:
    deploy(group)
    system = group.systems["iam-a"]
    if data is DATA:
        system.databases = {}
    before = dict(system.databases or {})
    with pytest.raises(LostDataError, match=r"database iam.* does not exist"):
        deploy(group, data)
    assert system.databases == before


def test_a_rebuilt_node_with_its_disk_is_accepted(group: FakeGroup) -> None:
    deploy(group)
    databases = group.systems["iam-a"].databases
    new_node(group, "iam-a", disk="ext4").databases = databases
    assert deploy(group).changed
    assert record(group, "iam-a") == {"database": "iam", "node": "iam-a"}


def test_a_rebuilt_second_node_gets_the_record_again(group: FakeGroup) -> None:
    deploy(group)
    new_node(group, "iam-b", disk=None)
    deploy(group)
    assert record(group, "iam-b") == {"database": "iam", "node": "iam-a"}


@pytest.mark.parametrize("master", ["", "iam-b"], ids=["nothing serves", "the group serves"])
def test_the_call_that_restores_a_large_database_waits_for_it(group: FakeGroup, master: str) -> None:
    group.held_by(master)
    deploy(group)
    waits = [
        deadline_s
        for connection in group.connections
        for names, deadline_s in zip(connection.calls, connection.deadlines, strict=True)
        if connection.node.name == "iam-a" and "commit" in names
    ]
    assert max(waits) > RESTORE_DEADLINE_S, "the agent waits this long for the backup program"


def test_the_decision_to_start_empty_is_valid_for_one_rollout(group: FakeGroup) -> None:
    deploy(group)
    new_node(group, "iam-a", disk="").databases = {}
    connections = [group.connect(node) for node in group.inventory.nodes]
    with locked(connections) as lock:
        decide(connections, "empty", lock.token)
    deploy(group)
    assert "created database iam" in group.systems["iam-a"].log
    assert record(group, "iam-b") == record(group, "iam-a") == {"database": "iam", "node": "iam-a"}
    new_node(group, "iam-a", disk="").databases = {}
    with pytest.raises(LostDataError):
        deploy(group)
