"""What leaves the manifest is removed from the nodes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from provisioning_fakes import ME, MY_GROUP, FakeGroup, PowerCutError

from provisioning.agent.node import Result
from provisioning.errors import GateError, NodeError
from provisioning.kinds.account import Account, password_hash
from provisioning.kinds.base import Item, reload
from provisioning.kinds.database import Database
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.grant import Grant
from provisioning.kinds.link import Link
from provisioning.kinds.package import Package
from provisioning.kinds.timer import Timer
from provisioning.kinds.unit import Unit
from provisioning.kinds.user import User
from provisioning.leaving import describe_entry, find_leaving
from provisioning.manifest import Manifest
from provisioning.rollout.drift import drift
from provisioning.rollout.rollout import roll_out

NGINX = Unit("nginx")
CONF = File("/etc/nginx/site.conf", "x\n", ME, MY_GROUP, after=(reload("nginx"),))


def test_a_unit_that_an_interrupted_run_has_enabled_is_disabled(tmp_path: Path) -> None:
    """Systemd shows it as disabled until it reads its unit files, which the run would have done at its end."""
    group = FakeGroup(tmp_path)
    of: tuple[Item, ...] = (Unit("first"), Unit("second"))
    deploy(group, *of[:1])

    def cut(_node: str, effect: str) -> None:
        if effect == "start second":
            raise PowerCutError

    group.before_effect = cut
    with pytest.raises(PowerCutError):
        deploy(group, *of)
    group.before_effect = lambda _node, _effect: None
    group.tick(200)
    deploy(group, *of[:1])
    assert [system.enabled for system in group.systems.values()] == [{"first"}, {"first"}]


@pytest.mark.parametrize(
    ("before", "after", "absent", "removals"),
    [
        pytest.param((CONF, NGINX), (CONF, NGINX), [], [], id="nothing has left"),
        pytest.param(
            (Directory("/etc/nginx/tls"), CONF, NGINX),
            (),
            [],
            ["unit nginx", "file /etc/nginx/site.conf", "directory /etc/nginx/tls"],
            id="a unit stops before its files are deleted",
        ),
        pytest.param((CONF, NGINX), (NGINX,), ["/etc/nginx/site.conf"], [], id="the unit that stays reads the removal"),
        pytest.param(
            (NGINX,), (Unit("nginx", enabled=False, running=False),), [], [], id="a unit to stop is in the manifest"
        ),
        pytest.param(
            (CONF, NGINX),
            (Unit("nginx", enabled=False, running=False),),
            [],
            ["file /etc/nginx/site.conf"],
            id="a unit to stop is not reloaded for its files",
        ),
        pytest.param((CONF,), (Link("/etc/nginx/site.conf", "/x"),), [], [], id="a path of another kind now"),
        pytest.param((Timer("t", "T", 60),), (Unit("t.timer"),), [], [], id="a unit of another kind now"),
        pytest.param((Timer("t", "T", 60),), (), [], ["timer t.timer /etc/systemd/system/t.timer"], id="a timer"),
        pytest.param(
            (Account("iam", "10.0.4.22", "x"), Grant("iam", "10.0.4.22", "iam"), User("iam")),
            (),
            [],
            ["user iam", "grant iam 10.0.4.22 iam", "account iam 10.0.4.22"],
            id="accounts",
        ),
        pytest.param((Package("nginx"), Database("iam")), (), [], [], id="packages and databases stay"),
    ],
)
def test_leaving_items(
    before: tuple[Item, ...], after: tuple[Item, ...], absent: list[str], removals: list[str]
) -> None:
    leaving = find_leaving(after, find_leaving(before, ()).record)
    assert [item.path for item in leaving.absent] == absent
    assert [describe_entry(entry) for entry in leaving.removals] == removals
    # The next run with the same manifest removes nothing.
    again = find_leaving(after, leaving.record)
    assert (again.absent, again.removals, again.record) == ((), (), leaving.record)


@pytest.fixture
def group(tmp_path: Path) -> FakeGroup:
    return FakeGroup(tmp_path)


def deploy(group: FakeGroup, *items: Item, **of_node: tuple[Item, ...]) -> dict[str, tuple[str, ...]]:
    manifests = {node.name: Manifest(node.name, of_node.get(node.name[-1], items)) for node in group.inventory.nodes}
    result = roll_out(group.inventory, manifests, {}, connect=group.connect)
    assert drift(group.inventory, manifests, {}, connect=group.connect) == {}
    return dict(result.changed)


WEB = (
    Directory("/etc/nginx", ME, MY_GROUP),
    CONF,
    File("/etc/nginx/nginx.conf", "ours\n", ME, MY_GROUP, after=(reload("nginx"),)),
    File("/etc/systemd/system/nginx.service.d/tandem.conf", "x\n", ME, MY_GROUP),
    NGINX,
    Link("/opt/current", "/opt/1"),
    Timer("clean", "Clean up", 60),
    Unit("keepalived"),
)


def test_a_demoted_node_stops_its_units_and_gets_the_files_of_the_distribution_back(group: FakeGroup) -> None:
    system = group.systems["iam-b"]
    (system.root / "etc/nginx").mkdir()
    (system.root / "etc/nginx/nginx.conf").write_text("distribution\n")
    (system.root / "etc/nginx/by-hand.conf").write_text("people's own\n")
    deploy(group, *WEB)
    group.held_by("iam-b")
    system.log.clear()

    def moves(_node: str, effect: str) -> None:
        if effect == "drain":
            group.held_by("iam-a")

    group.before_effect = moves
    deploy(group, *WEB, b=(Unit("iam-apiserver"),))
    assert {unit: state for unit, state in system.units.items() if state == "active"} == {"iam-apiserver": "active"}
    assert system.enabled == {"iam-apiserver"}
    assert (system.root / "etc/nginx/nginx.conf").read_text() == "distribution\n"
    assert (system.root / "etc/nginx/by-hand.conf").exists()
    assert not (system.root / "etc/nginx/site.conf").exists()
    assert not (system.root / "opt/current").is_symlink()
    assert not (system.root / "etc/systemd/system/clean.timer").exists()
    # keepalived stops before the node serves under its new manifest, everything else at the end.
    stops = [line for line in system.log if line.startswith(("stop", "start"))]
    assert stops == ["stop keepalived", "start iam-apiserver", "stop clean.timer", "stop nginx"]
    assert deploy(group, *WEB, b=(Unit("iam-apiserver"),)) == {}


def test_a_demoted_node_whose_keepalived_does_not_stop_is_put_back(group: FakeGroup) -> None:
    deploy(group, *WEB)
    group.held_by("iam-b")
    group.moves = True
    system = group.systems["iam-b"]
    system.fails = lambda verb, unit: (verb, unit) == ("stop", "keepalived")
    with pytest.raises(NodeError, match="systemctl stop keepalived failed"):
        deploy(group, *WEB, b=(Unit("iam-apiserver"),))
    assert (system.root / "run/tandem/drain-VI_1").read_text() == "0\n"
    assert not system.timers


def test_nothing_is_removed_before_all_nodes_have_passed_their_gates(group: FakeGroup) -> None:
    deploy(group, *WEB)
    group.held_by("iam-a")
    group.gates_pass = False
    with pytest.raises(GateError):
        deploy(group, *WEB[1:5], Unit("keepalived"), Gate("nginx", "http://x/healthz"))
    for system in group.systems.values():
        assert system.units["clean.timer"] == "active"
        assert (system.root / "opt/current").is_symlink()


def test_what_people_have_created_is_not_removed(group: FakeGroup) -> None:
    deploy(group, *WEB)
    system = group.systems["iam-a"]
    system.units["their-unit"] = "active"
    (system.root / "opt/theirs").write_text("x")
    deploy(group, NGINX)
    assert system.units["their-unit"] == "active"
    assert (system.root / "opt/theirs").exists()


def test_accounts_that_people_have_created_stay(group: FakeGroup) -> None:
    people = {"iam@%": "*x", "ann@10.0.4.21": "*y"}
    accounts = dict(people)

    def mariadb(text: str) -> Result:
        for user, host, hashed in re.findall(r"ALTER USER '(\w+)'@'(\S+)' IDENTIFIED .* USING '(\S+)'", text):
            accounts[f"{user}@{host}"] = hashed
        for user, host in re.findall(r"DROP USER IF EXISTS '(\w+)'@'(\S+)'", text):
            del accounts[f"{user}@{host}"]
        return Result(0, "".join(f"{name}\t{hashed}\n" for name, hashed in accounts.items()), "")

    for system in group.systems.values():
        system.mariadb = mariadb
    deploy(group, Account("iam", "10.0.4.21", "p"), Unit("keepalived"))
    assert accounts.keys() == {"iam@10.0.4.21", *people}
    deploy(group, Account("iam_g2", "10.0.4.21", "q"), Unit("keepalived"))
    assert accounts == {**people, "iam_g2@10.0.4.21": password_hash("q")}


def test_an_interrupted_removal_is_completed_by_the_next_run(group: FakeGroup) -> None:
    class Cut(BaseException):
        pass

    def cut(_node: str, effect: str) -> None:
        if effect == "stop nginx":
            raise Cut

    deploy(group, *WEB)
    group.before_effect = cut
    with pytest.raises(Cut):
        deploy(group, Unit("ssh"))
    group.before_effect = lambda _node, _effect: None
    group.tick(200)
    deploy(group, Unit("ssh"))
    assert {name for name, state in group.systems["iam-b"].units.items() if state == "active"} == {"ssh"}


def test_the_record_of_a_node_contains_no_secrets(group: FakeGroup) -> None:
    items: tuple[Item, ...] = (File("/etc/x", "@@secret:p@@", ME, MY_GROUP), Account("iam", "%", "@@secret:p@@"))
    manifests: dict[str, Any] = {node.name: Manifest(node.name, items) for node in group.inventory.nodes}
    roll_out(group.inventory, manifests, {"p": "hunter2"}, connect=group.connect)
    record = (group.systems["iam-a"].root / "var/lib/tandem/manifest.json").read_text()
    assert "hunter2" not in record
    assert [entry["kind"] for entry in json.loads(record)] == ["file", "account"]
