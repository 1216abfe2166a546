from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from provisioning_fakes import ME, MY_GROUP, FakeGroup, PowerCutError

from provisioning.errors import (
    CandidateError,
    GateError,
    LockedError,
    NodeError,
    ProvisioningError,
    UnreachableError,
)
from provisioning.kinds.absent import Absent
from provisioning.kinds.base import Thing, reload, restart
from provisioning.kinds.check import Check
from provisioning.kinds.database import Database
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.link import Link
from provisioning.kinds.package import Package
from provisioning.kinds.sysctl import Sysctl
from provisioning.kinds.timer import Timer
from provisioning.kinds.unit import Unit
from provisioning.kinds.user import User
from provisioning.manifest import Manifest
from provisioning.rollout import RolloutResult, drift, roll_out

SECRETS = {"password": "hunter2"}


def file(path: str, text: str, *after: str, mode: int = 0o644) -> File:
    afters = tuple(restart(unit[1:]) if unit.startswith("!") else reload(unit) for unit in after)
    return File(path, text, ME, MY_GROUP, mode, afters)


def things(version: str = "1", port: int = 80) -> tuple[Thing, ...]:
    return (
        Package("nginx"),
        User("iam"),
        Directory("/etc/nginx/conf.d", ME, MY_GROUP),
        Check("nginx", ("nginx", "-t"), ("/etc/nginx",), look_at="provisioning/templates/nginx"),
        file("/etc/nginx/nginx.conf", f"version {version}\n", "nginx"),
        file("/etc/nginx/conf.d/site.conf", f"listen {port}; password @@secret:password@@\n", "nginx", mode=0o640),
        Absent("/etc/nginx/sites-enabled/default", after=(reload("nginx"),)),
        file("/etc/systemd/system/nginx.service.d/tandem.conf", f"# {version}\n"),
        Sysctl("net.core.somaxconn", "1024"),
        Unit("nginx"),
        Link("/opt/iam/current", f"/opt/iam/{version}", after=(restart("iam-apiserver"),)),
        Unit("iam-apiserver"),
        file("/etc/keepalived/keepalived.conf", f"# {version}\n", "keepalived"),
        file("/etc/systemd/system/keepalived.service.d/tandem.conf", f"# {version}\n"),
        Unit("keepalived"),
        Gate("nginx", "http://10.0.4.20/healthz"),
    )


def manifests(of: tuple[Thing, ...] | None = None, names: tuple[str, ...] = ("iam-a", "iam-b")) -> dict[str, Manifest]:
    return {name: Manifest(name, of if of is not None else things()) for name in names}


@pytest.fixture
def group(tmp_path: Path) -> FakeGroup:
    return FakeGroup(tmp_path)


def go(group: FakeGroup, of: dict[str, Manifest]) -> RolloutResult:
    return roll_out(group.inventory, of, SECRETS, connect=group.connect)


def read(group: FakeGroup, host: str, path: str) -> str:
    return (group.systems[host].root / path.lstrip("/")).read_text()


def test_the_first_run_makes_everything_true_on_every_node(group: FakeGroup) -> None:
    result = go(group, manifests())
    assert set(result.changed) == {"iam-a", "iam-b"}
    for host in ("iam-a", "iam-b"):
        system = group.systems[host]
        assert read(group, host, "/etc/nginx/conf.d/site.conf") == "listen 80; password hunter2\n"
        assert (system.root / "etc/nginx/conf.d/site.conf").stat().st_mode & 0o777 == 0o640
        assert system.units == {"nginx": "active", "iam-apiserver": "active", "keepalived": "active"}
        assert system.enabled == {"nginx", "iam-apiserver", "keepalived"}
        assert (system.root / "opt/iam/current").readlink().name == "1"
        assert system.log[0] == "installed nginx"
        assert "reload nginx" not in system.log, "a unit that is only now started needs no reload"


def test_a_second_run_finds_nothing_to_do_with_one_call_to_each_node(group: FakeGroup) -> None:
    first = go(group, manifests())
    logs = [list(system.log) for system in group.systems.values()]
    group.connections.clear()
    assert go(group, manifests()) == RolloutResult(first.revision)
    assert [connection.calls for connection in group.connections] == [[["facts"]], [["facts"]]]
    assert [system.log for system in group.systems.values()] == logs


def test_a_long_plan_is_reported_in_a_few_lines(group: FakeGroup) -> None:
    said: list[str] = []
    roll_out(group.inventory, manifests(), SECRETS, said.append, connect=group.connect)
    of_a = [line for line in said if line.startswith("iam-a: ")]
    assert len(of_a) == 8 + 1 + 1
    assert of_a[8].startswith("iam-a: ... and ")
    assert SECRETS["password"] not in str(said)


def test_a_changed_file_is_followed_by_one_reload_and_nothing_else(group: FakeGroup) -> None:
    go(group, manifests())
    for system in group.systems.values():
        system.log.clear()
    result = go(group, manifests(things(port=8080)))
    assert {host: len(words) for host, words in result.changed.items()} == {"iam-a": 2, "iam-b": 2}
    assert [system.log for system in group.systems.values()] == [["reload nginx"], ["reload nginx"]]


def test_a_changed_unit_file_is_read_by_systemd_before_the_unit_is_touched(group: FakeGroup) -> None:
    go(group, manifests())
    group.systems["iam-a"].log.clear()
    go(group, manifests(things(version="2")))
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


def test_a_timer_is_set_and_set_again_when_its_schedule_changes(group: FakeGroup) -> None:
    go(group, with_timer(60))
    system = group.systems["iam-a"]
    assert "OnUnitActiveSec=60\n" in read(group, "iam-a", "/etc/systemd/system/clean.timer")
    assert (system.units["clean.timer"], "clean.timer" in system.enabled) == ("active", True)
    assert go(group, with_timer(60)).changed == {}
    system.log.clear()
    go(group, with_timer(30))
    assert "OnUnitActiveSec=30\n" in read(group, "iam-a", "/etc/systemd/system/clean.timer")
    assert system.log == ["daemon-reload", "restart clean.timer"]
    system.units["clean.timer"] = "inactive"
    assert drift(group.inventory, with_timer(30), SECRETS, connect=group.connect) == {
        "iam-a": ["timer clean does not run"]
    }


def test_one_invalid_candidate_changes_nothing_on_any_node(group: FakeGroup) -> None:
    go(group, manifests())
    trees = {host: tree(group, host) for host in group.systems}
    group.systems["iam-b"].refuse = lambda files: (
        "nginx: [emerg] host not found in upstream" if "8080" in files["/etc/nginx/conf.d/site.conf"] else ""
    )
    with pytest.raises(CandidateError) as caught:
        go(group, manifests(things(port=8080)))
    assert str(caught.value) == (
        "iam-b (10.0.4.21): nginx refused the new configuration; nothing was changed on any node\n"
        "  nginx: [emerg] host not found in upstream\n"
        "  exit code 1 of: nginx -t\n"
        "  look at: provisioning/templates/nginx"
    )
    assert {host: tree(group, host) for host in group.systems} == trees


def tree(group: FakeGroup, host: str) -> dict[str, str]:
    root = group.systems[host].root
    return {str(path): path.read_text() for path in (root / "etc").rglob("*") if path.is_file()}


def test_a_check_sees_candidates_at_their_final_paths_and_removed_files_gone(group: FakeGroup) -> None:
    default = group.systems["iam-a"].root / "etc/nginx/sites-enabled/default"
    default.parent.mkdir(parents=True)
    default.write_text("the distribution's\n")
    seen: list[dict[str, str]] = []

    def look(files: dict[str, str]) -> str:
        seen.append(files)
        return ""

    group.systems["iam-a"].refuse = look
    go(group, manifests())
    assert seen == [
        {
            "/etc/nginx/nginx.conf": "version 1\n",
            "/etc/nginx/conf.d/site.conf": "listen 80; password hunter2\n",
        }
    ]


def test_a_check_does_not_run_when_nothing_below_its_directories_changes(group: FakeGroup) -> None:
    go(group, manifests())
    group.systems["iam-a"].refuse = lambda _files: "must not be asked"
    changed = tuple(
        file(thing.path, "# other\n", "keepalived")
        if isinstance(thing, File) and thing.path.endswith("keepalived.conf")
        else thing
        for thing in things()
    )
    assert set(go(group, manifests(changed)).changed) == {"iam-a", "iam-b"}


def test_the_node_that_holds_the_address_goes_last_and_after_handing_it_over(group: FakeGroup) -> None:
    go(group, manifests())
    group.held_by("iam-a")
    order: list[str] = []

    def effect(host: str, name: str) -> None:
        order.append(f"{host} {name}")
        if name == "drain":
            group.held_by("iam-b")

    group.before_effect = effect
    go(group, manifests(things(port=8080)))
    committed = [line for line in order if line.split(" ", 1)[1].startswith(("write", "drain", "reload", "end"))]
    assert committed == [
        "iam-b write /etc/nginx/conf.d/site.conf",
        "iam-b reload nginx",
        "iam-a drain",
        "iam-a write /etc/nginx/conf.d/site.conf",
        "iam-a reload nginx",
        "iam-a end drain",
    ]


def commits(group: FakeGroup, of: dict[str, Manifest]) -> list[str]:
    """What is done to which node, in order. Whoever drains gives the address to the other one."""
    order: list[str] = []

    def effect(host: str, name: str) -> None:
        order.append(f"{host} {name}")
        if name == "drain":
            group.held_by("iam-b" if host == "iam-a" else "iam-a")

    group.before_effect = effect
    go(group, of)
    return [line for line in order if line.split(" ", 1)[1].startswith(("write", "drain", "database", "stop"))]


def test_databases_that_are_not_there_yet_come_before_the_services_that_wait_for_them(group: FakeGroup) -> None:
    go(group, manifests())
    group.held_by("iam-a")
    changed = manifests(things(port=8080))
    with_databases = Manifest("iam-a", (Unit("mariadb"), Database("iam"), *changed["iam-a"].things))
    assert commits(group, {**changed, "iam-a": with_databases}) == [
        "iam-a drain",
        "iam-a database iam",
        "iam-a write /etc/nginx/conf.d/site.conf",
        "iam-b drain",  # it holds the address by now
        "iam-b write /etc/nginx/conf.d/site.conf",
    ]


def test_databases_stop_when_the_services_of_all_nodes_have_others(group: FakeGroup) -> None:
    go(group, {**manifests(), "iam-a": Manifest("iam-a", (Unit("mariadb"), *things()))})
    group.held_by("iam-b")
    changed, off = manifests(things(port=8080)), Unit("mariadb", enabled=False, running=False)
    assert commits(group, {**changed, "iam-a": Manifest("iam-a", (*changed["iam-a"].things, off))}) == [
        "iam-b drain",
        "iam-b write /etc/nginx/conf.d/site.conf",
        "iam-a drain",
        "iam-a write /etc/nginx/conf.d/site.conf",
        "iam-a stop mariadb",
    ]


def test_a_failed_gate_stops_the_rollout_before_the_next_node(group: FakeGroup) -> None:
    go(group, manifests())
    group.held_by("iam-a")
    group.gates_pass = False
    with pytest.raises(GateError) as caught:
        go(group, manifests(things(port=8080)))
    assert "iam-b (10.0.4.21)" in str(caught.value)
    assert "the rollout stopped there" in str(caught.value)
    assert "the journal's last words" in str(caught.value)
    assert "8080" in read(group, "iam-b", "/etc/nginx/conf.d/site.conf")
    assert "80;" in read(group, "iam-a", "/etc/nginx/conf.d/site.conf")
    # What a rollback needs is there.
    kept = group.systems["iam-b"].root / "var/lib/tandem/previous/files/etc/nginx/conf.d/site.conf"
    assert kept.read_text() == "listen 80; password hunter2\n"


def test_the_lock_of_a_live_owner_stops_a_second_rollout(group: FakeGroup) -> None:
    go(group, manifests())
    refused: list[str] = []

    def interrupt(host: str, effect: str) -> None:
        if effect.startswith("stage") and host == "iam-b" and not refused:
            with pytest.raises(LockedError) as caught:
                go(group, manifests(things(port=9090)))
            refused.append(str(caught.value))

    group.before_effect = interrupt
    assert set(go(group, manifests(things(port=8080))).changed) == {"iam-a", "iam-b"}
    assert "iam-a (10.0.4.20): another rollout has this node" in refused[0]
    assert f"process {os.getpid()}, last heard of 0 s ago" in refused[0]


def test_a_lock_that_nobody_renews_expires(group: FakeGroup) -> None:
    go(group, manifests())
    for system in group.systems.values():
        (system.root / "var/lib/tandem/lock.json").write_text(
            '{"token": "x", "owner": {"host": "elsewhere", "pid": 1}, "ttl_s": 180, "renewed_at": 999.0, "taken_at": 1}'
        )
    with pytest.raises(LockedError, match="another rollout has this node"):
        go(group, manifests(things(port=8080)))
    group.tick(200)
    assert set(go(group, manifests(things(port=8080))).changed) == {"iam-a", "iam-b"}


def test_after_an_error_the_lock_is_free_again(group: FakeGroup) -> None:
    group.systems["iam-b"].refuse = lambda _files: "no"
    with pytest.raises(CandidateError):
        go(group, manifests())
    group.systems["iam-b"].refuse = lambda _files: ""
    assert set(go(group, manifests()).changed) == {"iam-a", "iam-b"}


def test_a_package_that_does_not_exist_is_an_error_with_apts_words(group: FakeGroup) -> None:
    with pytest.raises(NodeError) as caught:
        go(group, manifests((Package("no-such-package"),)))
    assert "Unable to locate package no-such-package" in str(caught.value)


def test_a_unit_that_does_not_start_stops_the_rollout_with_its_journal(group: FakeGroup) -> None:
    with pytest.raises(NodeError) as caught:
        go(group, manifests((Unit("broken"),)))
    assert "Job for broken.service failed." in str(caught.value)
    assert "the journal's last words" in str(caught.value)


def test_a_secret_that_nobody_gave_is_named_before_anything_is_touched(group: FakeGroup) -> None:
    with pytest.raises(ProvisioningError, match="no value was given for the secret password"):
        roll_out(group.inventory, manifests(), {}, connect=group.connect)
    assert group.connections == []


def test_drift_shows_changed_lines_but_no_secret(group: FakeGroup) -> None:
    go(group, manifests())
    assert drift(group.inventory, manifests(), SECRETS, connect=group.connect) == {}
    root = group.systems["iam-b"].root
    (root / "etc/nginx/nginx.conf").write_text("by hand\n")
    (root / "etc/nginx/conf.d/site.conf").write_text("password hunter3\n")
    group.systems["iam-b"].units["nginx"] = "failed"
    assert drift(group.inventory, manifests(), SECRETS, connect=group.connect) == {
        "iam-b": [
            "/etc/nginx/nginx.conf differs",
            "  -by hand",
            "  +version 1",
            "/etc/nginx/conf.d/site.conf differs",
            "  (holds a secret: not shown)",
            "unit nginx does not run",
        ]
    }


def test_an_unreachable_node_is_drift_and_not_an_error(group: FakeGroup) -> None:
    go(group, manifests())
    group.unreachable.add("iam-a")
    assert drift(group.inventory, manifests(), SECRETS, connect=group.connect) == {
        "iam-a": ["unreachable: iam-a: no connection"]
    }


def test_an_unreachable_node_stops_a_rollout_before_anything_is_touched(group: FakeGroup) -> None:
    group.unreachable.add("iam-b")
    with pytest.raises(UnreachableError):
        go(group, manifests())
    assert group.systems["iam-a"].log == []


def test_the_bastions_temporary_host_key_goes_too(tmp_path: Path) -> None:
    group = FakeGroup(tmp_path, ("iam-a", "iam-b", "bastion"))
    key = group.systems["bastion"].root / "etc/ssh/ssh_host_ecdsa_key"
    key.parent.mkdir()
    key.write_text("private\n")
    *nodes, bastion = group.inventory.nodes
    group.inventory = replace(group.inventory, nodes=tuple(nodes), bastion=bastion)
    assert go(group, manifests()).changed["bastion"]
    assert not key.exists()
    assert group.systems["bastion"].log == ["enable ssh", "start ssh"]
    assert go(group, manifests()).changed == {}


# ---- killed anywhere, the next run converges ---------------------------------------------------------------------


def effects_of_a_run(root: Path) -> int:
    group = FakeGroup(root)
    go(group, manifests())
    seen: list[str] = []
    group.before_effect = lambda host, effect: seen.append(f"{host} {effect}")
    go(group, manifests(things(version="2", port=8080)))
    return len(seen)


def settled(group: FakeGroup) -> None:
    """All is as the manifest says, and every unit has read what is on the disk now."""
    assert drift(group.inventory, manifests(things(version="2", port=8080)), SECRETS, connect=group.connect) == {}
    assert all(system.unit_files for system in group.systems.values())
    for system in group.systems.values():
        etc = system.root / "etc"
        for unit, path in (("nginx", "nginx/conf.d/site.conf"), ("nginx", "nginx/nginx.conf"),
                           ("keepalived", "keepalived/keepalived.conf")):  # fmt: skip
            assert system.loaded[unit]["/etc/" + path] == (etc / path).read_text(), f"{unit} still runs on old files"


@pytest.mark.exhaustive
@pytest.mark.parametrize("fresh", [True, False], ids=["on new nodes", "on nodes that serve"])
def test_killed_before_any_effect_the_next_run_converges(tmp_path: Path, *, fresh: bool) -> None:
    total = effects_of_a_run(tmp_path / "count") + (20 if fresh else 0)
    assert total > 15
    for number in range(0, total, 5 if fresh else 1):  # the fresh ones, in part: each takes its time
        group = FakeGroup(tmp_path / f"{fresh}-{number}")
        if not fresh:
            go(group, manifests())
        left = number

        def cut(_host: str, _effect: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise PowerCutError

        group.before_effect = cut
        with suppress(PowerCutError):
            go(group, manifests(things(version="2", port=8080)))
        group.before_effect = lambda _host, _effect: None
        group.tick(200)  # the dead owner's lock expires
        go(group, manifests(things(version="2", port=8080)))
        settled(group)


@pytest.mark.exhaustive
def test_killed_while_a_timer_is_set_the_next_run_starts_the_new_schedule(tmp_path: Path) -> None:
    for number in range(12):
        group = FakeGroup(tmp_path / str(number))
        go(group, with_timer(60))
        left = number

        def cut(_host: str, _effect: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise PowerCutError

        group.before_effect = cut
        with suppress(PowerCutError):
            go(group, with_timer(30))
        group.before_effect = lambda _host, _effect: None
        group.tick(200)
        go(group, with_timer(30))
        assert drift(group.inventory, with_timer(30), SECRETS, connect=group.connect) == {}
        for system in group.systems.values():
            assert "OnUnitActiveSec=30" in system.loaded["clean.timer"]["/etc/systemd/system/clean.timer"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("when", ["before", "after"])
def test_with_ssh_cut_at_any_call_the_next_run_converges(tmp_path: Path, when: str) -> None:
    for number in range(14):
        group = FakeGroup(tmp_path / f"{when}-{number}")
        go(group, manifests())
        left = number

        def cut(_host: str, now: str, _names: list[str]) -> None:
            nonlocal left
            if now == when:
                left -= 1
                if left < 0:
                    raise UnreachableError("the SSH connection broke")

        group.link = cut
        with suppress(UnreachableError):
            go(group, manifests(things(version="2", port=8080)))
        group.link = lambda _host, _when, _names: None
        group.tick(200)
        go(group, manifests(things(version="2", port=8080)))
        settled(group)


def test_a_reload_that_was_cut_off_is_done_by_the_next_run_though_every_file_is_right(group: FakeGroup) -> None:
    go(group, manifests())

    def cut(host: str, effect: str) -> None:
        if (host, effect) == ("iam-a", "reload nginx"):
            raise PowerCutError

    group.before_effect = cut
    with pytest.raises(PowerCutError):
        go(group, manifests(things(port=8080)))
    assert "8080" in read(group, "iam-a", "/etc/nginx/conf.d/site.conf")
    group.before_effect = lambda _host, _effect: None
    group.tick(200)
    group.systems["iam-a"].log.clear()
    assert drift(group.inventory, manifests(things(port=8080)), SECRETS, connect=group.connect)["iam-a"] == [
        "unit nginx has changed files",
        "reload nginx was cut off in an earlier run",
    ]
    go(group, manifests(things(port=8080)))
    assert group.systems["iam-a"].log == ["reload nginx"]
