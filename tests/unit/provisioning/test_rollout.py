from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from provisioning_deployments import deployment
from provisioning_fakes import ME, MY_GROUP, FakeGroup, PowerCutError

from provisioning.deployment import BASTION
from provisioning.errors import (
    CandidateError,
    GateError,
    LockedError,
    NodeError,
    ProvisioningError,
    UnreachableError,
)
from provisioning.kinds.absent import Absent
from provisioning.kinds.base import Item, reload, restart
from provisioning.kinds.check import Check
from provisioning.kinds.database import Database
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.link import Link
from provisioning.kinds.package import Package
from provisioning.kinds.ssh_server import SshServer
from provisioning.kinds.timer import Timer
from provisioning.kinds.unit import Unit
from provisioning.kinds.user import User
from provisioning.manifest import Manifest
from provisioning.manifest_rendering import render
from provisioning.rollout.drift import drift
from provisioning.rollout.rollout import RolloutResult, roll_out
from provisioning.services import base

SECRETS = {"password": "hunter2", "deployment_public_key": "ssh-rsa AAAAB3"}


def file(path: str, text: str, *after: str, mode: int = 0o644) -> File:
    actions = tuple(restart(unit[1:]) if unit.startswith("!") else reload(unit) for unit in after)
    return File(path, text, ME, MY_GROUP, mode, actions)


def items(version: str = "1", port: int = 80) -> tuple[Item, ...]:
    return (
        Package("nginx"),
        User("iam"),
        Directory("/etc/nginx/conf.d", ME, MY_GROUP),
        Check("nginx", ("nginx", "-t"), ("/etc/nginx",), look_at="provisioning/templates/nginx"),
        file("/etc/nginx/nginx.conf", f"version {version}\n", "nginx"),
        file("/etc/nginx/conf.d/site.conf", f"listen {port}; password @@secret:password@@\n", "nginx", mode=0o640),
        Absent("/etc/nginx/sites-enabled/default", after=(reload("nginx"),)),
        file("/etc/systemd/system/nginx.service.d/tandem.conf", f"# {version}\n"),
        Unit("nginx"),
        Link("/opt/iam/current", f"/opt/iam/{version}", after=(restart("iam-apiserver"),)),
        Unit("iam-apiserver"),
        file("/etc/keepalived/keepalived.conf", f"# {version}\n", "keepalived"),
        file("/etc/systemd/system/keepalived.service.d/tandem.conf", f"# {version}\n"),
        Unit("keepalived"),
        Gate("nginx", "http://10.0.4.20/healthz"),
    )


ALICE, BOB, BY_HAND = (f"ssh-ed25519 AAAA{name} {name}" for name in ("alice", "bob", "carol"))


def manifests(of: tuple[Item, ...] | None = None, names: tuple[str, ...] = ("iam-a", "iam-b")) -> dict[str, Manifest]:
    return {name: Manifest(name, of if of is not None else items()) for name in names}


@pytest.fixture
def group(tmp_path: Path) -> FakeGroup:
    return FakeGroup(tmp_path)


def deploy(group: FakeGroup, of: dict[str, Manifest]) -> RolloutResult:
    return roll_out(group.inventory, of, SECRETS, group.reported.append, connect=group.connect, sleep=group.sleep)


def read(group: FakeGroup, node: str, path: str) -> str:
    return (group.systems[node].root / path.lstrip("/")).read_text()


def test_the_first_run_applies_the_manifests_to_every_node(group: FakeGroup) -> None:
    result = deploy(group, manifests())
    assert set(result.changed) == {"iam-a", "iam-b"}
    for node in ("iam-a", "iam-b"):
        system = group.systems[node]
        assert read(group, node, "/etc/nginx/conf.d/site.conf") == "listen 80; password hunter2\n"
        assert (system.root / "etc/nginx/conf.d/site.conf").stat().st_mode & 0o777 == 0o640
        assert system.units == {"nginx": "active", "iam-apiserver": "active", "keepalived": "active"}
        assert system.enabled == {"nginx", "iam-apiserver", "keepalived"}
        assert (system.root / "opt/iam/current").readlink().name == "1"
        assert system.log[0] == "installed nginx"
        assert "reload nginx" not in system.log, "a unit that was just started needs no reload"


def test_a_second_run_changes_nothing_and_needs_one_call_to_each_node(group: FakeGroup) -> None:
    first = deploy(group, manifests())
    logs = [list(system.log) for system in group.systems.values()]
    group.connections.clear()
    assert deploy(group, manifests()) == RolloutResult(first.revision)
    assert [connection.calls for connection in group.connections] == [[["facts"]], [["facts"]]]
    assert [system.log for system in group.systems.values()] == logs


def test_a_long_plan_is_reported_in_a_few_lines(group: FakeGroup) -> None:
    reported: list[str] = []
    roll_out(group.inventory, manifests(), SECRETS, reported.append, connect=group.connect)
    of_a = [line for line in reported if line.startswith("iam-a: ")]
    assert len(of_a) == 8 + 1 + 1
    assert of_a[8].startswith("iam-a: ... and ")
    assert SECRETS["password"] not in str(reported)


def test_a_changed_file_causes_one_reload_and_no_other_action(group: FakeGroup) -> None:
    deploy(group, manifests())
    for system in group.systems.values():
        system.log.clear()
    result = deploy(group, manifests(items(port=8080)))
    assert {node: len(lines) for node, lines in result.changed.items()} == {"iam-a": 2, "iam-b": 2}
    assert [system.log for system in group.systems.values()] == [["reload nginx"], ["reload nginx"]]


def test_a_changed_unit_file_causes_a_daemon_reload_before_the_unit_is_restarted(group: FakeGroup) -> None:
    deploy(group, manifests())
    group.systems["iam-a"].log.clear()
    deploy(group, manifests(items(version="2")))
    log = group.systems["iam-a"].log
    assert log == [
        "daemon-reload",
        "reload nginx",
        "restart iam-apiserver",
        "daemon-reload",
        "reload keepalived",
    ]


def with_timer(interval_s: int) -> dict[str, Manifest]:
    return manifests((file("/etc/systemd/system/clean.service", "x\n"), Timer("clean", "Clean up", interval_s)))


def test_a_timer_is_restarted_when_its_schedule_changes(group: FakeGroup) -> None:
    deploy(group, with_timer(60))
    system = group.systems["iam-a"]
    assert "OnUnitActiveSec=60\n" in read(group, "iam-a", "/etc/systemd/system/clean.timer")
    assert (system.units["clean.timer"], "clean.timer" in system.enabled) == ("active", True)
    assert deploy(group, with_timer(60)).changed == {}
    system.log.clear()
    deploy(group, with_timer(30))
    assert "OnUnitActiveSec=30\n" in read(group, "iam-a", "/etc/systemd/system/clean.timer")
    assert system.log == ["daemon-reload", "restart clean.timer"]
    system.units["clean.timer"] = "inactive"
    assert drift(group.inventory, with_timer(30), SECRETS, connect=group.connect) == {
        "iam-a": ["timer clean: not running"]
    }


def test_a_unit_in_a_crash_loop_is_drift_and_the_next_run_restarts_it(group: FakeGroup) -> None:
    deploy(group, manifests())
    group.systems["iam-b"].restarts["iam-apiserver"] = 7
    group.systems["iam-b"].units["iam-apiserver"] = "activating"
    assert drift(group.inventory, manifests(), SECRETS, connect=group.connect) == {
        "iam-b": ["unit iam-apiserver: crashes repeatedly (restarted 7 times)"]
    }
    group.systems["iam-b"].log.clear()
    assert deploy(group, manifests()).changed == {"iam-b": ("restarted iam-apiserver",)}
    assert group.systems["iam-b"].log == ["restart iam-apiserver"]
    assert drift(group.inventory, manifests(), SECRETS, connect=group.connect) == {}


def test_one_invalid_candidate_changes_nothing_on_any_node(group: FakeGroup) -> None:
    deploy(group, manifests())
    trees = {node: tree(group, node) for node in group.systems}
    group.systems["iam-b"].refuse = lambda files: (
        "nginx: [emerg] host not found in upstream" if "8080" in files["/etc/nginx/conf.d/site.conf"] else ""
    )
    with pytest.raises(CandidateError) as caught:
        deploy(group, manifests(items(port=8080)))
    assert str(caught.value) == (
        "iam-b (10.0.4.21): nginx rejected the new configuration; no configuration and no running service was changed\n"
        "  nginx: [emerg] host not found in upstream\n"
        "  exit code 1 of: nginx -t\n"
        "  look at: provisioning/templates/nginx"
    )
    assert {node: tree(group, node) for node in group.systems} == trees


def tree(group: FakeGroup, node: str) -> dict[str, str]:
    root = group.systems[node].root
    return {str(path): path.read_text() for path in (root / "etc").rglob("*") if path.is_file()}


def test_a_check_sees_candidates_at_their_final_paths_and_no_removed_files(group: FakeGroup) -> None:
    default = group.systems["iam-a"].root / "etc/nginx/sites-enabled/default"
    default.parent.mkdir(parents=True)
    default.write_text("distribution default\n")
    seen: list[dict[str, str]] = []

    def record(files: dict[str, str]) -> str:
        seen.append(files)
        return ""

    group.systems["iam-a"].refuse = record
    deploy(group, manifests())
    assert seen == [
        {
            "/etc/nginx/nginx.conf": "version 1\n",
            "/etc/nginx/conf.d/site.conf": "listen 80; password hunter2\n",
        }
    ]


def test_a_check_does_not_run_when_nothing_below_its_directories_changes(group: FakeGroup) -> None:
    deploy(group, manifests())
    group.systems["iam-a"].refuse = lambda _files: "the check must not run"
    changed = tuple(
        file(item.path, "# other\n", "keepalived")
        if isinstance(item, File) and item.path.endswith("keepalived.conf")
        else item
        for item in items()
    )
    assert set(deploy(group, manifests(changed)).changed) == {"iam-a", "iam-b"}


def test_the_master_is_committed_last_and_after_a_switchover(group: FakeGroup) -> None:
    deploy(group, manifests())
    group.held_by("iam-a")
    assert commits(group, manifests(items("2")), "drain", "restart", "end") == [
        "iam-b restart iam-apiserver",
        "iam-a drain",
        "iam-a restart iam-apiserver",
        "iam-a end drain",
    ]


def test_a_reload_needs_no_switchover(group: FakeGroup) -> None:
    """A switchover costs each client the time in which the HAVIP moves; a reload loses no request."""
    deploy(group, manifests())
    group.held_by("iam-a")
    assert commits(group, manifests(items(port=8080)), "write", "drain", "reload") == [
        "iam-b write /etc/nginx/conf.d/site.conf",
        "iam-b reload nginx",
        "iam-a write /etc/nginx/conf.d/site.conf",
        "iam-a reload nginx",
    ]


def commits(group: FakeGroup, of: dict[str, Manifest], *kinds: str) -> list[str]:
    """Deploy and return the changes of these kinds in order. A drain moves the virtual IP to the other node."""
    order: list[str] = []

    def effect(node: str, name: str) -> None:
        order.append(f"{node} {name}")
        if name == "drain":
            group.held_by("iam-b" if node == "iam-a" else "iam-a")

    group.before_effect = effect
    deploy(group, of)
    shown = kinds or ("write", "drain", "database", "stop")
    return [line for line in order if line.split(" ", 1)[1].startswith(shown)]


def test_new_databases_come_before_the_services_that_need_them(group: FakeGroup) -> None:
    deploy(group, manifests())
    group.held_by("iam-a")
    changed = manifests(items(port=8080))
    with_databases = Manifest("iam-a", (Unit("mariadb"), Database("iam"), *changed["iam-a"].items))
    assert commits(group, {**changed, "iam-a": with_databases}) == [
        "iam-a database iam",
        "iam-b write /etc/nginx/conf.d/site.conf",
        "iam-a write /etc/nginx/conf.d/site.conf",
    ]


def test_databases_stop_after_the_services_of_all_nodes_use_other_databases(group: FakeGroup) -> None:
    deploy(group, {**manifests(), "iam-a": Manifest("iam-a", (Unit("mariadb"), *items()))})
    group.held_by("iam-b")
    changed, off = manifests(items(port=8080)), Unit("mariadb", enabled=False, running=False)
    assert commits(group, {**changed, "iam-a": Manifest("iam-a", (*changed["iam-a"].items, off))}) == [
        "iam-a write /etc/nginx/conf.d/site.conf",
        "iam-b write /etc/nginx/conf.d/site.conf",
        "iam-a stop mariadb",
    ]


def test_a_failed_gate_stops_the_rollout_before_the_next_node(group: FakeGroup) -> None:
    deploy(group, manifests())
    group.held_by("iam-a")
    group.answers = lambda node, _url: "502" if "8080" in read(group, node, "/etc/nginx/conf.d/site.conf") else "200"
    with pytest.raises(GateError) as caught:
        deploy(group, manifests(items(port=8080)))
    assert "iam-b (10.0.4.21)" in str(caught.value)
    assert "the rollout stopped there" in str(caught.value)
    assert "last line of the journal" in str(caught.value)
    assert read(group, "iam-b", "/etc/nginx/conf.d/site.conf") == "listen 80; password hunter2\n"
    assert read(group, "iam-a", "/etc/nginx/conf.d/site.conf") == "listen 80; password hunter2\n"


def test_an_owner_that_renews_its_lock_is_never_robbed(group: FakeGroup) -> None:
    """Whatever its process id means here: the owner may run in a container or on another host."""
    deploy(group, manifests())
    refused: list[str] = []

    def renew(seconds: float) -> None:
        group.tick(seconds)
        for connection in group.connections[-4:-2]:  # those of the first rollout
            lease = (group.systems[connection.node.name].root / "var/lib/tandem/lock.json").read_text()
            connection.call([{"do": "renew"}], token=json.loads(lease)["token"])

    def interrupt(node: str, effect: str) -> None:
        if effect.startswith("stage") and node == "iam-b" and not refused:
            group.tick(25)
            with pytest.raises(LockedError) as caught:
                deploy(group, manifests(items(port=9090)))
            refused.append(str(caught.value))

    group.before_effect = interrupt
    group.sleep = renew
    assert set(deploy(group, manifests(items(port=8080))).changed) == {"iam-a", "iam-b"}
    assert "iam-a (10.0.4.20): another rollout holds the change lock of this node" in refused[0]
    assert f"process {os.getpid()}, for 26 s, renewed 0 s ago" in refused[0]
    assert "tandem unlock" in refused[0]
    assert "8080" in read(group, "iam-a", "/etc/nginx/conf.d/site.conf")


def lease(group: FakeGroup, node: str, **other: Any) -> None:
    """Leave the lock of an owner that has ended."""
    owner = {"user": "jo", "host": "elsewhere", "pid": 7}
    values = {"token": "x", "owner": owner, "ttl_s": 30, "renewals": 4, "boot_id": "", **other}
    times = {"taken_at": group.clock - 60, "renewed_at": group.clock - 10}
    (group.systems[node].root / "var/lib/tandem/lock.json").write_text(json.dumps({**times, **values}))


def test_the_lock_of_an_owner_that_has_ended_is_waited_for_until_it_expires(group: FakeGroup) -> None:
    deploy(group, manifests())
    began = group.clock
    lease(group, "iam-b")
    assert set(deploy(group, manifests(items(port=8080))).changed) == {"iam-a", "iam-b"}
    assert 20 <= group.clock - began < 22
    held = "held by jo on elsewhere, process 7, for 60 s, renewed 10 s ago"
    assert f"iam-b: the change lock is {held}; waiting for its owner" in group.reported


def test_an_owner_that_lost_its_lock_can_commit_nothing(group: FakeGroup) -> None:
    deploy(group, manifests())

    def take(_node: str, when: str, names: list[str]) -> None:
        if when == "before" and "commit" in names:
            lease(group, "iam-b", token="other")
            lease(group, "iam-a", token="other")

    group.link = take
    with pytest.raises(LockedError, match="this rollout does not hold the change lock"):
        deploy(group, manifests(items(port=8080)))
    for node in group.systems:
        assert "8080" not in read(group, node, "/etc/nginx/conf.d/site.conf")


@pytest.mark.parametrize(("step", "began"), [("lock", False), ("stage", False), ("commit", True)])
def test_an_error_says_whether_the_commit_had_begun(group: FakeGroup, step: str, *, began: bool) -> None:
    deploy(group, manifests())

    def cut(_node: str, when: str, names: list[str]) -> None:
        if when == "before" and step in names:
            raise UnreachableError("the SSH connection broke")

    group.link = cut
    with pytest.raises(UnreachableError) as caught:
        deploy(group, manifests(items(port=8080)))
    assert caught.value.commit_began is began


def test_a_change_between_the_facts_and_the_lock_is_seen(group: FakeGroup) -> None:
    deploy(group, manifests())
    changed: set[str] = set()
    stage = {"do": "stage", "revision": "r", "serial": 1, "files": [], "links": [], "absent": [], "units": [],
             "unit_actions": [], "checks": []}  # fmt: skip
    lock = {"do": "lock", "owner": {}, "ttl_s": 30}

    def interrupt(node: str, when: str, names: list[str]) -> None:
        if (when, names) == ("before", ["lock"]) and node not in changed:
            changed.add(node)
            (group.systems[node].root / "etc/nginx/nginx.conf").write_text("by another operator\n")
            group.connect(group.inventory.get(node)).call([lock, stage, {"do": "unlock"}], token="other")

    group.link = interrupt
    assert set(deploy(group, manifests(items(port=8080))).changed) == {"iam-a", "iam-b"}
    for node in ("iam-a", "iam-b"):
        assert read(group, node, "/etc/nginx/nginx.conf") == "version 1\n"


def test_a_rollout_makes_no_more_calls_than_it_needs(group: FakeGroup) -> None:
    deploy(group, manifests())
    first = [call for call in group.connections[0].calls if call != ["renew"]]
    assert first == [
        ["facts"],
        ["lock"],
        ["prepare", "facts"],
        ["stage"],
        ["commit", "gate", "reset_restarts"],
        ["accept"],
        ["unlock"],
    ]
    deploy(group, manifests(items(port=8080)))
    changed = [call for call in group.connections[-1].calls if call != ["renew"]]
    asked = ["services", "serves", "held"]  # before the other node is taken out of service
    assert changed == [
        ["facts"],
        ["lock"],
        ["stage"],
        asked,
        ["commit", "gate", "reset_restarts", "accept"],
        ["unlock"],
    ]


def test_the_lock_is_released_after_an_error(group: FakeGroup) -> None:
    group.systems["iam-b"].refuse = lambda _files: "no"
    with pytest.raises(CandidateError):
        deploy(group, manifests())
    group.systems["iam-b"].refuse = lambda _files: ""
    assert set(deploy(group, manifests()).changed) == {"iam-a", "iam-b"}


def test_a_missing_package_is_an_error_with_the_output_of_apt(group: FakeGroup) -> None:
    with pytest.raises(NodeError) as caught:
        deploy(group, manifests((Package("no-such-package"),)))
    assert "Unable to locate package no-such-package" in str(caught.value)


def test_a_unit_that_does_not_start_stops_the_rollout_with_its_journal(group: FakeGroup) -> None:
    with pytest.raises(NodeError) as caught:
        deploy(group, manifests((Unit("broken"),)))
    assert "Job for broken.service failed." in str(caught.value)
    assert "last line of the journal" in str(caught.value)


def test_a_secret_without_a_value_is_reported_before_any_node_is_contacted(group: FakeGroup) -> None:
    with pytest.raises(ProvisioningError, match="the secret password has no value"):
        roll_out(group.inventory, manifests(), {}, connect=group.connect)
    assert group.connections == []


def test_drift_shows_changed_lines_but_no_secrets(group: FakeGroup) -> None:
    deploy(group, manifests())
    assert drift(group.inventory, manifests(), SECRETS, connect=group.connect) == {}
    root = group.systems["iam-b"].root
    (root / "etc/nginx/nginx.conf").write_text("by hand\n")
    (root / "etc/nginx/conf.d/site.conf").write_text("password hunter3\n")
    group.systems["iam-b"].units["nginx"] = "failed"
    assert drift(group.inventory, manifests(), SECRETS, connect=group.connect) == {
        "iam-b": [
            "/etc/nginx/nginx.conf: content differs",
            "  -by hand",
            "  +version 1",
            "/etc/nginx/conf.d/site.conf: content differs",
            "  (not shown: contains a secret)",
            "unit nginx: not running",
        ]
    }


def test_an_unreachable_node_is_reported_as_drift(group: FakeGroup) -> None:
    deploy(group, manifests())
    group.unreachable.add("iam-a")
    assert drift(group.inventory, manifests(), SECRETS, connect=group.connect) == {
        "iam-a": ["unreachable: iam-a: no connection"]
    }


def test_an_unreachable_node_stops_a_rollout_before_any_change(group: FakeGroup) -> None:
    group.unreachable.add("iam-b")
    with pytest.raises(UnreachableError):
        deploy(group, manifests())
    assert group.systems["iam-a"].log == []


def test_an_ssh_server_that_runs_by_its_socket_is_kept(group: FakeGroup) -> None:
    """Debian's ssh.service conflicts with ssh.socket; Ubuntu 24.04 has only the socket enabled."""
    system = group.systems["iam-a"]
    system.enabled.add("ssh.socket")
    system.units["ssh.socket"] = "active"
    of = manifests((Absent("/etc/ssh/ssh_host_ecdsa_key", after=(reload("ssh"),)), SshServer()))
    key = system.root / "etc/ssh/ssh_host_ecdsa_key"
    key.parent.mkdir()
    key.write_text("private\n")
    assert deploy(group, of).changed["iam-b"] == ("enabled ssh", "started ssh")
    assert system.log == []
    assert not key.exists()
    assert deploy(group, of).changed == {}


@pytest.mark.root
def test_a_public_key_that_left_the_settings_is_removed_from_nodes_and_bastion(tmp_path: Path) -> None:
    group = FakeGroup(tmp_path, ("iam-a", "iam-b", "bastion"))
    *nodes, bastion = group.inventory.nodes
    group.inventory = replace(group.inventory, nodes=tuple(nodes), bastion=bastion)
    files = [system.root / "home/debian/.ssh/authorized_keys" for system in group.systems.values()]
    for file in files:  # as the first boot writes it
        file.parent.mkdir(parents=True)
        file.write_text(f"ssh-rsa AAAAB3\n{ALICE}\n{BOB}\n{BY_HAND}\n")

    def deploy_with(*keys: str) -> None:
        access = tuple(base.access(replace(deployment(), public_keys=keys)))
        deploy(group, {name: Manifest(name, access) for name in group.systems})

    deploy_with(ALICE, BOB)
    deploy_with(BOB)
    for file in files:
        assert file.read_text().splitlines() == ["ssh-rsa AAAAB3", BOB, BY_HAND]
    deploy_with(BOB, ALICE)
    for file in files:
        assert file.read_text().splitlines() == ["ssh-rsa AAAAB3", BOB, BY_HAND, ALICE]


def test_the_ssh_server_of_the_bastion_is_managed_too(tmp_path: Path) -> None:
    group = FakeGroup(tmp_path, ("iam-a", "iam-b", "bastion"))
    key = group.systems["bastion"].root / "etc/ssh/ssh_host_ecdsa_key"
    key.parent.mkdir()
    key.write_text("private\n")
    *nodes, bastion = group.inventory.nodes
    group.inventory = replace(group.inventory, nodes=tuple(nodes), bastion=bastion)
    of = {**manifests(), BASTION: render(replace(deployment(), bastion=True))[BASTION]}
    assert deploy(group, of).changed["bastion"]
    assert not key.exists()
    assert group.systems["bastion"].log == ["enable ssh", "start ssh", "daemon-reload"]
    hardened = (group.systems["bastion"].root / "etc/ssh/sshd_config.d/00-tandem.conf").read_text()
    assert "PasswordAuthentication no" in hardened
    assert "ssh-rsa AAAAB3" in (group.systems["bastion"].root / "home/debian/.ssh/authorized_keys").read_text()
    assert deploy(group, of).changed == {}


# ---- a run that follows an interrupted one converges -------------------------------------------------------------


def count_effects(root: Path) -> int:
    group = FakeGroup(root)
    deploy(group, manifests())
    seen: list[str] = []
    group.before_effect = lambda node, effect: seen.append(f"{node} {effect}")
    deploy(group, manifests(items(version="2", port=8080)))
    return len(seen)


def assert_converged(group: FakeGroup) -> None:
    """All nodes match their manifests, and every unit has read the current files."""
    assert drift(group.inventory, manifests(items(version="2", port=8080)), SECRETS, connect=group.connect) == {}
    assert all(system.unit_files for system in group.systems.values())
    for system in group.systems.values():
        etc = system.root / "etc"
        for unit, path in (("nginx", "nginx/conf.d/site.conf"), ("nginx", "nginx/nginx.conf"),
                           ("keepalived", "keepalived/keepalived.conf")):  # fmt: skip
            assert system.loaded[unit]["/etc/" + path] == (etc / path).read_text(), f"{unit} still uses old files"


@pytest.mark.exhaustive
@pytest.mark.parametrize("fresh", [True, False], ids=["on new nodes", "on nodes that serve"])
def test_a_run_converges_after_one_that_was_killed_before_any_effect(tmp_path: Path, *, fresh: bool) -> None:
    total = count_effects(tmp_path / "count") + (20 if fresh else 0)
    assert total > 15
    for number in range(0, total, 5 if fresh else 1):  # new nodes take longer, so only a part of their effects
        group = FakeGroup(tmp_path / f"{fresh}-{number}")
        if not fresh:
            deploy(group, manifests())
        group.cut_power(number, partial(deploy, group, manifests(items(version="2", port=8080))))
        deploy(group, manifests(items(version="2", port=8080)))
        assert_converged(group)


@pytest.mark.exhaustive
def test_a_run_starts_the_new_schedule_of_a_timer_after_one_that_was_killed(tmp_path: Path) -> None:
    for number in range(12):
        group = FakeGroup(tmp_path / str(number))
        deploy(group, with_timer(60))
        group.cut_power(number, partial(deploy, group, with_timer(30)))
        deploy(group, with_timer(30))
        assert drift(group.inventory, with_timer(30), SECRETS, connect=group.connect) == {}
        for system in group.systems.values():
            assert "OnUnitActiveSec=30" in system.loaded["clean.timer"]["/etc/systemd/system/clean.timer"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_converges_after_one_whose_connection_broke_at_any_call(tmp_path: Path, when: str) -> None:
    for number in range(14):
        group = FakeGroup(tmp_path / f"{when}-{number}")
        deploy(group, manifests())
        left = number

        def cut(_node: str, now: str, _names: list[str]) -> None:
            nonlocal left
            if now == when:
                left -= 1
                if left < 0:
                    raise UnreachableError("the SSH connection broke")

        group.link = cut
        with suppress(UnreachableError):
            deploy(group, manifests(items(version="2", port=8080)))
        group.link = lambda _node, _when, _names: None
        group.tick(200)
        deploy(group, manifests(items(version="2", port=8080)))
        assert_converged(group)


def test_an_interrupted_reload_is_performed_by_the_next_run_although_no_file_differs(group: FakeGroup) -> None:
    deploy(group, manifests())

    def cut(node: str, effect: str) -> None:
        if (node, effect) == ("iam-a", "reload nginx"):
            raise PowerCutError

    group.before_effect = cut
    with pytest.raises(PowerCutError):
        deploy(group, manifests(items(port=8080)))
    assert "8080" in read(group, "iam-a", "/etc/nginx/conf.d/site.conf")
    group.before_effect = lambda _node, _effect: None
    group.tick(200)
    group.systems["iam-a"].log.clear()
    assert drift(group.inventory, manifests(items(port=8080)), SECRETS, connect=group.connect)["iam-a"] == [
        "unit nginx: its files change",
        "reload nginx: not finished by an interrupted run",
        "the last change has not passed its health gates",
    ]
    deploy(group, manifests(items(port=8080)))
    assert group.systems["iam-a"].log == ["reload nginx"]
