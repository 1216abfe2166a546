"""Rollbacks: after a failed health gate, and on request. The nodes are simulated; the agent is the real one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from provisioning_fakes import ME, MY_GROUP, SWITCHOVER, FakeConnection, FakeGroup, PowerCutError

from provisioning.agent.node import Result
from provisioning.agent.web import Response
from provisioning.errors import GateError, HostKeyError, NodeError, ProvisioningError, RejectedError, UnreachableError
from provisioning.health.node_checks import check_node
from provisioning.health.results import Level
from provisioning.inventory import RemoteNode
from provisioning.kinds.absent import Absent
from provisioning.kinds.account import Account
from provisioning.kinds.authorized_key import AuthorizedKey
from provisioning.kinds.base import Item, Phase, reload, restart
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.iam_account import IamAccount
from provisioning.kinds.link import Link
from provisioning.kinds.package import Package
from provisioning.kinds.redis_password import RedisPassword, redis_hash
from provisioning.kinds.timer import Timer
from provisioning.kinds.unit import Unit
from provisioning.manifest import Manifest
from provisioning.rollout.drift import drift
from provisioning.rollout.rollback import pardon, roll_back
from provisioning.rollout.rollout import RolloutResult, roll_out

UPSTREAMS = "/etc/nginx/conf.d/upstreams.conf"


def file(path: str, text: str, *after: str, mode: int = 0o644) -> File:
    actions = tuple(restart(unit[1:]) if unit.startswith("!") else reload(unit) for unit in after)
    return File(path, text, ME, MY_GROUP, mode, actions)


def version(name: str, *more: Item) -> tuple[Item, ...]:
    """The items of one node. Version 2 adds a file, a timer and a unit, and removes a file."""
    added: tuple[Item, ...] = (
        file("/etc/systemd/system/extra.service", "[Service]\n", "!extra"),
        file("/etc/extra.conf", "new\n", "!extra"),
        Absent("/etc/old.conf", after=(reload("nginx"),)),
        Unit("extra"),
        Timer("clean", "Clean up", 60),
    )
    removed: tuple[Item, ...] = (file("/etc/old.conf", "old\n", "nginx"),)
    units = ["nginx", "iam-apiserver", *(["extra", "clean.timer"] if name != "1" else []), "keepalived"]
    return (
        Package("nginx"),
        file("/etc/tandem/node.json", json.dumps({"units": units}) + "\n"),
        file("/etc/nginx/nginx.conf", f"version {name}\n", "nginx", mode=0o600 if name == "1" else 0o640),
        file(UPSTREAMS, "upstream a {\n    server 10.0.4.20:8080;\n    server 10.0.4.21:8080;\n}\n", "nginx"),
        Unit("nginx"),
        Link("/opt/iam/current", f"/opt/iam/{name}", after=(restart("iam-apiserver"),)),
        Unit("iam-apiserver"),
        *(removed if name == "1" else added),
        Unit("keepalived"),
        *more,
    )


def manifests(name: str, group: FakeGroup, *more: Item) -> dict[str, Manifest]:
    return {
        node.name: Manifest(
            node.name,
            (*version(name, *more), Gate("iam-apiserver", f"http://{node.private_address}:8080/healthz")),
        )
        for node in group.inventory.nodes
    }


def make_group(root: Path, *, bastion: bool = False) -> FakeGroup:
    group = FakeGroup(root, ("iam-a", "iam-b", *(["bastion"] if bastion else [])))
    if bastion:
        *nodes, last = group.inventory.nodes
        group.inventory = replace(group.inventory, nodes=tuple(nodes), bastion=last)
    for system in group.systems.values():
        for release in ("1", "2", "3", "bad"):
            (system.root / "opt/iam" / release).mkdir(parents=True)
    group.moves = True
    group.answers = lambda node, url: "502" if ":8080" in url and release_of(group, node) == "bad" else "200"
    return group


@pytest.fixture
def group(tmp_path: Path) -> FakeGroup:
    return make_group(tmp_path)


def release_of(group: FakeGroup, node: str) -> str:
    return (group.systems[node].root / "opt/iam/current").readlink().name


def deploy(group: FakeGroup, name: str, *more: Item) -> RolloutResult:
    return roll_out(group.inventory, manifests(name, group, *more), {}, connect=group.connect)


def state(group: FakeGroup, node: str) -> dict[str, object]:
    """Everything on a node that a rollout may change, and the files that its units have read."""
    system = group.systems[node]
    paths = [path for path in (system.root / "etc").rglob("*") if path.is_file()]
    return {
        **{str(path): (path.read_text(), path.stat().st_mode) for path in paths},
        "release": release_of(group, node) if (system.root / "opt/iam/current").is_symlink() else None,
        "running": {unit for unit, state in system.units.items() if state == "active"},
        "enabled": set(system.enabled),
        "nginx has read": {path: text for path, text in system.loaded.get("nginx", {}).items() if "nginx" in path},
    }


def states(group: FakeGroup) -> dict[str, dict[str, object]]:
    return {node: state(group, node) for node in group.systems}


def expect_failure(group: FakeGroup, name: str = "bad", *more: Item) -> ProvisioningError:
    with pytest.raises(ProvisioningError) as caught:
        deploy(group, name, *more)
    return caught.value


# ---- a failed health gate ------------------------------------------------------------------------------------------


def test_a_release_that_fails_on_the_first_node_is_undone_there_and_never_reaches_the_second(group: FakeGroup) -> None:
    deploy(group, "1")
    group.held_by("iam-a")
    before = states(group)
    group.systems["iam-a"].log.clear()
    error = expect_failure(group)
    assert isinstance(error, GateError)
    assert error.message == (
        "iam-b (10.0.4.21): iam-apiserver responds: http://10.0.4.21:8080/healthz: 502, must be 200 (waited 60 s); "
        "iam-b was rolled back to its previous version; the rollout stopped there"
    )
    assert states(group) == before
    # The first node changed nothing but its upstreams, to leave out iam-b while it restarted.
    assert group.systems["iam-a"].log == ["reload nginx", "reload nginx"]


def test_a_unit_that_fails_without_a_change_of_the_revision_is_not_rolled_back_to_it(group: FakeGroup) -> None:
    deploy(group, "1")
    group.held_by("iam-a")
    group.systems["iam-b"].units["iam-apiserver"] = "failed"
    group.systems["iam-b"].log.clear()
    group.answers = lambda node, url: "502" if ":8080" in url and node == "iam-b" else "200"
    error = expect_failure(group, "1")
    assert "; iam-b had this revision before, so there is nothing to restore; the rollout stopped" in error.message
    assert group.systems["iam-b"].log.count("start iam-apiserver") == 1
    group.answers = lambda _node, _url: "200"
    deploy(group, "1")
    assert drift(group.inventory, manifests("1", group), {}, connect=group.connect) == {}


def test_a_unit_that_does_not_start_is_rolled_back_too(group: FakeGroup) -> None:
    deploy(group, "1")
    group.held_by("iam-a")
    before = states(group)
    with pytest.raises(NodeError, match="systemctl start broken failed; iam-b was rolled back to its previous version"):
        deploy(group, "2", Unit("broken"))
    assert {**states(group)["iam-a"]} == before["iam-a"]
    assert state(group, "iam-b") == before["iam-b"]


def test_a_first_rollout_that_fails_on_one_node_is_stopped_and_disabled_on_all(group: FakeGroup) -> None:
    group.answers = lambda node, _url: "502" if node == "iam-b" else "200"
    with pytest.raises(GateError, match="what this first rollout had started on iam-b was stopped and disabled"):
        deploy(group, "2")
    for system in group.systems.values():
        assert {unit for unit, state in system.units.items() if state == "active"} == set()
        assert system.enabled == set()
        assert not (system.root / "etc/extra.conf").exists()
    group.answers = lambda _node, _url: "200"
    assert set(deploy(group, "2").changed) == {"iam-a", "iam-b"}


def test_a_first_rollout_names_each_node_that_failed_or_still_runs_what_it_started(group: FakeGroup) -> None:
    group.answers = lambda node, _url: "502" if node == "iam-b" else "200"
    group.systems["iam-a"].fails = lambda verb, unit: (verb, unit) == ("stop", "nginx")
    error = expect_failure(group, "2")
    assert error.message.startswith("iam-b (10.0.4.21): iam-apiserver responds")
    assert "also: the first rollout failed on another node; iam-a could not be rolled back" in error.seen
    assert "systemctl stop nginx failed" in error.seen
    group.answers = lambda _node, _url: "502"
    error = expect_failure(group, "2")
    assert error.message.startswith("iam-a (10.0.4.20): iam-apiserver responds")
    assert "also: iam-b (10.0.4.21): iam-apiserver responds" in error.seen


def test_a_node_that_fails_while_none_serves_does_not_undo_the_others(group: FakeGroup) -> None:
    deploy(group, "1")
    for system in group.systems.values():
        system.units["keepalived"] = "failed"
    group.answers = lambda node, url: (
        "502" if ":8080" in url and (node, release_of(group, node)) == ("iam-b", "2") else "200"
    )
    with pytest.raises(GateError, match="iam-b was rolled back"):
        deploy(group, "2")
    assert (release_of(group, "iam-a"), release_of(group, "iam-b")) == ("2", "1")
    assert {system.units["keepalived"] for system in group.systems.values()} == {"active"}


def test_a_unit_of_the_previous_version_that_had_failed_runs_after_a_rollback(group: FakeGroup) -> None:
    deploy(group, "1")
    group.held_by("iam-a")
    group.systems["iam-b"].units["nginx"] = "failed"
    with pytest.raises(GateError, match="iam-b was rolled back"):
        deploy(group, "bad")
    assert group.systems["iam-b"].units["nginx"] == "active"


def test_a_rollback_that_does_not_pass_the_previous_gates_reports_it_and_leaves_the_node_out(group: FakeGroup) -> None:
    deploy(group, "1")
    group.answers = lambda _node, _url: "502"
    error = expect_failure(group)
    assert "iam-a could not be rolled back" in error.message
    assert (
        "rollback: iam-a (10.0.4.20): iam-apiserver responds: http://10.0.4.20:8080/healthz: 502, must be 200"
        in error.seen
    )
    assert "10.0.4.20:8080 down" in (group.systems["iam-b"].root / UPSTREAMS.lstrip("/")).read_text()
    group.answers = lambda _node, _url: "200"
    deploy(group, "1")  # no file differs on iam-a, but its health gates have not passed
    assert drift(group.inventory, manifests("1", group), {}, connect=group.connect) == {}


ACCOUNT = IamAccount("http://127.0.0.1:8080", "http://127.0.0.1:9090", "password", deadline_s=1)


def log_in(group: FakeGroup, works: Callable[[str], bool]) -> None:
    """Answer logins and decisions on the nodes on which `works` is true, and refuse connections elsewhere."""
    secret = {"metadata": {"name": ACCOUNT.user}, "secretID": "id", "secretKey": "key"}
    found = {"token": "t", "items": [secret], "allowed": True}

    def request(node: str, _method: str, _url: str, **_options: object) -> Response:
        return Response(200, json.dumps(found)) if works(node) else Response(0, "ConnectionRefusedError")

    group.request = request


def upstreams(group: FakeGroup, node: str) -> str:
    return (group.systems[node].root / UPSTREAMS.lstrip("/")).read_text()


def test_a_rolled_back_node_returns_to_the_upstreams_only_if_a_login_works_there(group: FakeGroup) -> None:
    """Its /healthz is constant, so it would answer 200 while all logins on this node fail."""
    log_in(group, lambda _node: True)
    deploy(group, "1", ACCOUNT)
    group.held_by("iam-a")
    log_in(group, lambda node: node == "iam-a")
    with pytest.raises(GateError) as caught:
        deploy(group, "2", ACCOUNT)
    assert "iam-b could not be rolled back" in caught.value.message
    assert "rollback: iam-b (10.0.4.21): login: POST http://127.0.0.1:8080/login" in caught.value.seen
    assert "10.0.4.21:8080 down" in upstreams(group, "iam-a")
    log_in(group, lambda _node: True)
    deploy(group, "1", ACCOUNT)
    assert "down" not in upstreams(group, "iam-a")
    assert drift(group.inventory, manifests("1", group, ACCOUNT), {}, connect=group.connect) == {}


def test_a_login_that_fails_on_every_node_does_not_keep_the_rolled_back_one_out(group: FakeGroup) -> None:
    """The database is away: the group serves what it served before the rollout, on both nodes."""
    log_in(group, lambda _node: True)
    deploy(group, "1", ACCOUNT)
    group.held_by("iam-a")
    before = states(group)
    log_in(group, lambda _node: False)
    with pytest.raises(GateError) as caught:
        deploy(group, "2", ACCOUNT)
    assert "iam-b was rolled back to its previous version, which fails too, as on every other" in caught.value.message
    assert "after the rollback: iam-b (10.0.4.21): login: POST" in caught.value.seen
    assert states(group) == before


@pytest.mark.parametrize("bastion", [False, True])
def test_a_node_that_fails_both_versions_is_reported_on_a_stack_without_logins(
    tmp_path: Path, *, bastion: bool
) -> None:
    group = make_group(tmp_path, bastion=bastion)
    deploy(group, "1")
    group.held_by("iam-a")
    group.answers = lambda node, url: "502" if ":8080" in url and node == "iam-b" else "200"
    error = expect_failure(group, "2")
    assert isinstance(error, GateError)
    assert "iam-b could not be rolled back; the rollout stopped there" in error.message
    assert (release_of(group, "iam-a"), release_of(group, "iam-b")) == ("1", "1")


def test_a_node_whose_nginx_starts_no_more_is_reported_by_its_first_error(group: FakeGroup) -> None:
    deploy(group, "1")
    system = group.systems["iam-b"]
    (system.root / "run/tandem").mkdir(exist_ok=True)
    (system.root / "etc/tandem/switchover.json").write_text(json.dumps({**SWITCHOVER, "drain_s": 1}))
    group.held_by("iam-b")

    def fails(_verb: str, unit: str) -> bool:
        stopped = system.units.get("nginx") == "failed"
        return unit == "nginx" and (stopped or "2" in (system.root / "etc/nginx/nginx.conf").read_text())

    system.fails = fails
    error = expect_failure(group, "2")
    assert isinstance(error, NodeError)
    assert "systemctl reload nginx failed; iam-b could not be rolled back" in error.message


def test_a_bastion_does_not_count_as_a_node_on_which_logins_work(tmp_path: Path) -> None:
    group = make_group(tmp_path, bastion=True)
    log_in(group, lambda _node: True)
    deploy(group, "1", ACCOUNT)
    group.held_by("iam-a")
    log_in(group, lambda _node: False)
    assert "fails too, as on every other node" in expect_failure(group, "2", ACCOUNT).message


def test_an_interrupted_run_does_not_skip_the_health_gates(group: FakeGroup) -> None:
    deploy(group, "1")

    def cut(_node: str, now: str, names: list[str]) -> None:
        if now == "after" and "commit" in names:
            raise PowerCutError

    group.link = cut
    with pytest.raises(PowerCutError):
        deploy(group, "bad")
    group.link = lambda _node, _when, _names: None
    group.tick(200)
    error = expect_failure(group)
    assert "was rolled back to its previous version" in error.message
    assert {release_of(group, node) for node in group.systems} == {"1"}


def test_the_previous_version_is_the_last_one_that_passed_even_after_interrupted_runs_of_others(
    group: FakeGroup,
) -> None:
    deploy(group, "1")
    before = states(group)

    def cut(node: str, effect: str) -> None:
        if (node, effect) == ("iam-a", "restart iam-apiserver"):
            raise PowerCutError

    group.before_effect = cut
    with pytest.raises(PowerCutError):
        deploy(group, "2")
    group.before_effect = lambda _node, _effect: None
    group.tick(200)
    expect_failure(group)
    assert states(group) == before


@pytest.mark.exhaustive
def test_a_rollback_that_was_killed_at_any_point_is_completed_by_the_next_run(tmp_path: Path) -> None:
    number = 0
    for number in range(60):
        group = make_group(tmp_path / str(number))
        deploy(group, "1")
        group.held_by("iam-a")
        before = states(group)
        if not killed_after(group, number, partial(deploy, group, "bad")):
            break
        with pytest.raises(GateError):
            deploy(group, "bad")
        assert states(group) == before, number
        assert deploy(group, "1").changed == {}
    assert number > 25


@pytest.mark.exhaustive
def test_a_killed_rollback_does_not_stop_the_next_version(tmp_path: Path) -> None:
    number = 0
    for number in range(60):
        group = make_group(tmp_path / str(number))
        deploy(group, "1")
        group.held_by("iam-a")
        if not killed_after(group, number, partial(deploy, group, "bad")):
            break
        deploy(group, "2")
        assert drift(group.inventory, manifests("2", group), {}, connect=group.connect) == {}, number
        for system in group.systems.values():
            assert system.loaded["nginx"]["/etc/nginx/nginx.conf"] == "version 2\n"
            assert system.units["extra"] == system.units["clean.timer"] == "active"


def killed_after(group: FakeGroup, effects: int, run: Callable[[], object]) -> bool:
    """Run, and cut the power before the effect with this number. Returns whether that happened."""
    try:
        return group.cut_power(effects, run)
    except ProvisioningError:
        return False


# ---- on request ----------------------------------------------------------------------------------------------------


def go_back(group: FakeGroup, items: Mapping[str, Sequence[Item]] | None = None) -> str:
    return roll_back(group.inventory, items or {}, lambda _line: None, group.connect).rejected


def test_a_rollback_restores_the_previous_version_of_all_nodes(group: FakeGroup) -> None:
    deploy(group, "1")
    group.held_by("iam-a")
    before = states(group)
    newer = deploy(group, "2").revision
    group.held_by("iam-b")
    order: list[str] = []
    group.before_effect = lambda node, effect: order.append(f"{node} {effect}")
    assert go_back(group) == newer
    assert states(group) == before
    assert order.index("iam-a revert") < order.index("iam-b drain") < order.index("iam-b revert")
    assert any(line.startswith(f"iam-b edit {UPSTREAMS}") for line in order), "iam-a leaves the upstreams first"


def test_a_rolled_back_revision_is_refused_until_the_program_changes(group: FakeGroup) -> None:
    deploy(group, "1")
    deploy(group, "2")
    rejected = go_back(group)
    before = states(group)
    found = drift(group.inventory, manifests("2", group), {}, connect=group.connect)
    assert found["iam-a"][0].startswith(f"revision {rejected} was rolled back at ")
    with pytest.raises(RejectedError, match=f"revision {rejected} was rolled back at .* nothing was changed"):
        deploy(group, "2")
    assert states(group) == before
    assert deploy(group, "1").changed == {}, "the program of the previous revision needs no change"
    assert set(deploy(group, "3").changed) == {"iam-a", "iam-b"}


def test_a_revision_that_is_rolled_back_while_its_rollout_waits_for_the_lock_is_refused(group: FakeGroup) -> None:
    deploy(group, "1")
    before = states(group)
    deploy(group, "2")
    (group.systems["iam-b"].root / "etc/nginx/nginx.conf").write_text("by hand\n")

    compared: list[str] = []

    def other_operator(node: str, when: str, names: list[str]) -> None:
        if (when, names) == ("after", ["facts"]):
            compared.append(node)
            if compared[1:] == [node]:
                group.link = lambda _node, _when, _names: None
                go_back(group)

    group.link = other_operator
    with pytest.raises(RejectedError, match="nothing was changed"):
        deploy(group, "2")
    assert states(group) == before


def configuration_health(group: FakeGroup, name: str, revision: str) -> dict[str, tuple[Level, str]]:
    """The health check of the configuration on each node, of what was deployed last."""
    found: dict[str, tuple[Level, str]] = {}
    for node in group.inventory.nodes:
        items = manifests(name, group)[node.name].items
        items = tuple(item for item in items if item.phase is not Phase.GATE)
        results = check_node(group.connect(node), items, ["10.0.4.99"], "nonce", revision).results
        found[node.name] = next((each.level, each.seen) for each in results if each.name == "configuration")
    return found


def test_health_shows_a_rejected_revision(group: FakeGroup) -> None:
    deploy(group, "1")
    newer = deploy(group, "2").revision
    assert configuration_health(group, "2", newer)["iam-a"] == (Level.OK, "as deployed")
    group.link = lambda node, when, names: _cut(node == "iam-a" and when == "before" and "revert" in names)
    group.held_by("iam-a")
    with pytest.raises(UnreachableError):
        go_back(group)
    group.link = lambda _node, _when, _names: None
    found = configuration_health(group, "2", newer)
    assert found["iam-a"][0] is Level.FAIL
    assert found["iam-a"][1].endswith(", but this node still has it")
    assert found["iam-b"][0] is Level.WARNING
    assert found["iam-b"][1].startswith(f"revision {newer} was rolled back at ")
    go_back(group)
    assert {level for level, _ in configuration_health(group, "2", newer).values()} == {Level.WARNING}
    deploy(group, "3")
    assert configuration_health(group, "3", "another")["iam-a"] == (Level.OK, "as deployed")


def test_health_warns_of_what_a_release_that_was_undone_has_left(group: FakeGroup) -> None:
    deploy(group, "1")
    group.held_by("iam-a")
    expect_failure(group)
    found = configuration_health(group, "1", "another")
    assert found["iam-a"] == (Level.OK, "as deployed")
    level, seen = found["iam-b"]
    assert level is Level.WARNING
    assert "file /etc/extra.conf: no longer in the manifest" in seen
    (group.systems["iam-b"].root / "etc/nginx/nginx.conf").write_text("changed by hand")
    assert configuration_health(group, "1", "another")["iam-b"][0] is Level.FAIL


def _cut(broken: object) -> None:
    if broken:
        raise UnreachableError("the SSH connection broke")


def test_a_pardoned_revision_can_be_deployed_again(group: FakeGroup) -> None:
    deploy(group, "1")
    deploy(group, "2")
    rejected = go_back(group)
    assert pardon(group.inventory, group.connect) == [rejected]
    assert set(deploy(group, "2").changed) == {"iam-a", "iam-b"}


def test_a_repair_of_drift_keeps_the_way_back_to_the_previous_version(group: FakeGroup) -> None:
    deploy(group, "1")
    before = states(group)
    deploy(group, "2")
    (group.systems["iam-b"].root / "etc/nginx/nginx.conf").write_text("by hand\n")
    deploy(group, "2")
    go_back(group)
    assert states(group) == before


@pytest.mark.parametrize("between", [(), ("1",)], ids=["at once", "after another rollout of the version"])
def test_a_file_that_a_rollback_has_brought_back_is_removed_again(group: FakeGroup, between: tuple[str, ...]) -> None:
    """Its removal has deleted its record, and it is not a file of the distribution."""
    site = file("/etc/nginx/conf.d/site.conf", "listen 8443\n", "nginx")
    deploy(group, "1", site)
    deploy(group, "2")
    go_back(group)
    for name in between:
        deploy(group, name, site)
    assert (group.systems["iam-a"].root / "etc/nginx/conf.d/site.conf").exists()
    deploy(group, "3")
    assert not [name for name, system in group.systems.items() if (system.root / site.path[1:]).exists()]
    assert site.path not in group.systems["iam-a"].loaded["nginx"]


def test_a_file_of_the_distribution_comes_back_after_a_rollback_too(group: FakeGroup) -> None:
    site = file("/etc/nginx/conf.d/site.conf", "listen 8443\n", "nginx")
    path = group.systems["iam-a"].root / site.path[1:]
    path.parent.mkdir(parents=True)
    path.write_text("of the distribution\n")
    deploy(group, "1", site)
    deploy(group, "2")
    go_back(group)
    assert path.read_text() == "listen 8443\n"
    deploy(group, "3")
    assert path.read_text() == "of the distribution\n"


def interrupt_a_repair(group: FakeGroup, name: str) -> None:
    """Change a file on iam-b by hand, and cut the power after its repair, before the health gates have passed."""
    (group.systems["iam-b"].root / "etc/nginx/nginx.conf").write_text("by hand\n")

    def cut(node: str, effect: str) -> None:
        if (node, effect) == ("iam-b", "accept"):
            raise PowerCutError

    group.before_effect = cut
    with pytest.raises(PowerCutError):
        deploy(group, name)
    group.before_effect = lambda _node, _effect: None
    group.tick(200)


def test_a_rollback_after_an_interrupted_repair_returns_to_the_previous_version(group: FakeGroup) -> None:
    deploy(group, "1")
    before = states(group)
    newer = deploy(group, "2").revision
    interrupt_a_repair(group, "2")
    assert go_back(group) == newer
    assert states(group) == before


def test_an_interrupted_repair_does_not_permit_a_rollback_without_a_previous_version(group: FakeGroup) -> None:
    deploy(group, "1")
    interrupt_a_repair(group, "1")
    with pytest.raises(ProvisioningError, match="there is no previous version to return to; nothing was changed"):
        go_back(group)
    deploy(group, "1")


def test_an_invalid_candidate_keeps_the_way_back_to_the_previous_version(group: FakeGroup) -> None:
    deploy(group, "1")
    before = states(group)
    deploy(group, "2")

    def cut(_node: str, now: str, names: list[str]) -> None:
        if now == "after" and "stage" in names:
            raise UnreachableError("the SSH connection broke")

    group.link = cut
    with pytest.raises(UnreachableError):
        deploy(group, "3")
    group.link = lambda _node, _when, _names: None
    go_back(group)
    assert states(group) == before


def test_a_rollout_that_stopped_half_way_is_rolled_back_on_the_nodes_that_it_changed(group: FakeGroup) -> None:
    deploy(group, "1")
    group.held_by("iam-b")
    before = states(group)
    group.answers = lambda node, url: (
        "502" if ":8080" in url and (node, release_of(group, node)) == ("iam-b", "2") else "200"
    )

    error = expect_failure(group, "2")
    assert "(iam-a changed before it)" in error.message
    assert (release_of(group, "iam-a"), release_of(group, "iam-b")) == ("2", "1")
    group.held_by("iam-b")
    go_back(group)
    assert states(group) == before


def test_a_second_rollback_is_refused_if_it_would_leave_nodes_with_different_versions(group: FakeGroup) -> None:
    """Revision 3 changed iam-b only: the first rollback used up its way back, and iam-a still has one."""
    deploy(group, "1")
    deploy(group, "2")
    of = {**manifests("2", group), "iam-b": manifests("3", group)["iam-b"]}
    assert set(roll_out(group.inventory, of, {}, connect=group.connect).changed) == {"iam-b"}
    go_back(group)
    before = states(group)
    with pytest.raises(
        ProvisioningError, match=r"iam-b cannot return from revision \w+, but iam-a can.*nothing was ch"
    ):
        go_back(group)
    assert states(group) == before
    assert deploy(group, "2").changed == {}, "nothing is marked as rejected"


def test_without_a_previous_version_a_rollback_changes_nothing(group: FakeGroup) -> None:
    deploy(group, "1")
    before = states(group)
    for _ in range(2):
        with pytest.raises(ProvisioningError, match="there is no previous version to return to; nothing was changed"):
            go_back(group)
        assert states(group) == before
    deploy(group, "2")
    go_back(group)
    with pytest.raises(ProvisioningError, match="there is no previous version to return to; nothing was changed"):
        go_back(group)
    assert states(group) == before


@pytest.mark.parametrize(
    ("old", "new", "removed"),
    [
        pytest.param(
            RedisPassword("old", "10.0.4.20", 6379), RedisPassword("new", "10.0.4.20", 6379),
            f"iam-a: redis_password 10.0.4.20 6379 {redis_hash('old')[:12]}", id="a password of Redis",
        ),
        pytest.param(Account("iam", "10.0.4.20", "p"), Account("iam_g2", "10.0.4.20", "q"),
                     "iam-a: account iam 10.0.4.20", id="an account of MariaDB"),
        pytest.param(file("/etc/a.conf", "x\n"), file("/etc/b.conf", "x\n"), "iam-a: file /etc/a.conf", id="a file"),
    ],
)  # fmt: skip
def test_a_rollback_to_a_version_whose_secret_was_removed_is_refused_before_anything_changes(
    group: FakeGroup, old: Item, new: Item, removed: str
) -> None:
    for system in group.systems.values():
        (system.root / "etc/redis").mkdir(parents=True)
        (system.root / "etc/redis/redis.conf").write_text("")
        system.mariadb = lambda statements: Result(0, "iam@10.0.4.20\t*x\n" if "SELECT" in statements else "", "")
    deploy(group, "1", old)
    deploy(group, "2", new)
    before = states(group)
    with pytest.raises(ProvisioningError, match="has removed what the previous version needs; nothing was") as caught:
        go_back(group)
    assert removed in caught.value.seen
    assert "tandem up" in caught.value.look_at
    assert states(group) == before
    assert set(deploy(group, "3", new).changed) == {"iam-a", "iam-b"}, "nothing is marked as rejected"
    go_back(group)  # version 3 has removed nothing
    assert states(group) == before


def test_a_rollback_after_a_rotation_of_the_ssh_key_needs_only_the_present_key(group: FakeGroup) -> None:
    for system in group.systems.values():
        (system.root / "home/debian").mkdir(parents=True)
    deploy(group, "1", AuthorizedKey("deployment key", "debian", "ssh-rsa AAAAold"))
    before = states(group)
    deploy(group, "2", AuthorizedKey("deployment key", "debian", "ssh-rsa AAAAnew"))
    go_back(group)
    assert states(group) == before
    keys = (group.systems["iam-a"].root / "home/debian/.ssh/authorized_keys").read_text()
    assert keys == "ssh-rsa AAAAnew\n"


def test_a_rollback_asks_for_a_login_on_each_node(group: FakeGroup) -> None:
    deploy(group, "1")
    deploy(group, "2")
    account = IamAccount("http://127.0.0.1:9", "http://127.0.0.1:9", "password", deadline_s=0)
    with pytest.raises(GateError, match=r"login: POST http://127.0.0.1:9/login: .*the rollback stopped there"):
        go_back(group, dict.fromkeys(group.systems, (account,)))


def test_a_rollback_is_refused_if_the_previous_release_was_deleted(group: FakeGroup) -> None:
    deploy(group, "1")
    deploy(group, "2")
    before = states(group)
    (group.systems["iam-a"].root / "opt/iam/1").rmdir()
    with pytest.raises(ProvisioningError, match=r"iam-a: /opt/iam/1 of the previous version no longer exists; nothing"):
        go_back(group)
    assert states(group) == before


@pytest.mark.exhaustive
def test_a_rollback_on_request_that_was_killed_at_any_point_is_continued(tmp_path: Path) -> None:
    number = 0
    for number in range(80):
        group = make_group(tmp_path / str(number))
        deploy(group, "1")
        before = states(group)
        rejected = deploy(group, "2").revision
        if not killed_after(group, number, partial(go_back, group)):
            break
        with suppress(RejectedError):  # the mark is set before the first change
            assert deploy(group, "2").changed == {}
        with suppress(ProvisioningError):  # nothing is left to roll back if it was killed at the very end
            assert go_back(group) == rejected
        assert states(group) == before, number
    assert number > 25


# ---- nodes that cannot be reached ----------------------------------------------------------------------------------


def deploy_without(group: FakeGroup, name: str, *more: Item) -> RolloutResult:
    return roll_out(group.inventory, manifests(name, group, *more), {}, unreachable="skip", connect=group.connect)


def test_an_unreachable_node_is_skipped_and_completed_by_the_next_run(group: FakeGroup) -> None:
    deploy(group, "1")
    group.held_by("iam-a")
    group.unreachable = {"iam-b"}
    group.moves = False  # no peer can take over
    reported: list[str] = []
    result = roll_out(
        group.inventory, manifests("2", group), {}, reported.append, unreachable="skip", connect=group.connect
    )
    assert (result.incomplete, set(result.changed)) == (("iam-b",), {"iam-a"})
    assert "warning: iam-b is skipped, because it cannot be reached: iam-b: no connection" in reported
    assert (release_of(group, "iam-a"), release_of(group, "iam-b")) == ("2", "1")
    group.unreachable = set()
    result = deploy_without(group, "2")
    assert (result.incomplete, set(result.changed)) == ((), {"iam-b"})
    assert release_of(group, "iam-b") == "2"


def test_a_run_without_changes_still_says_which_node_is_missing(group: FakeGroup) -> None:
    deploy(group, "1")
    group.unreachable = {"iam-b"}
    assert deploy_without(group, "1").incomplete == ("iam-b",)


def test_keepalived_does_not_change_while_an_eligible_node_is_unreachable(group: FakeGroup) -> None:
    deploy(group, "1")
    before = states(group)
    group.unreachable = {"iam-b"}
    with pytest.raises(UnreachableError, match="both nodes could hold the virtual IP"):
        deploy_without(group, "1", file("/etc/keepalived/keepalived.conf", "new\n", "keepalived"))
    assert states(group) == before


def test_no_node_is_skipped_while_the_deployment_key_is_rotated(group: FakeGroup) -> None:
    """The next run would have only the new key, which the node would reject permanently."""
    deploy(group, "1")
    before = states(group)
    group.unreachable = {"iam-b"}
    group.inventory = replace(group.inventory, other_private_key="the old key")
    with pytest.raises(UnreachableError, match="the deployment key cannot be rotated without this node"):
        deploy_without(group, "2")
    assert states(group) == before


def test_a_group_without_a_reachable_eligible_node_is_not_skipped(group: FakeGroup) -> None:
    group.unreachable = {"iam-a", "iam-b"}
    with pytest.raises(UnreachableError, match="no eligible node can be reached"):
        deploy_without(group, "1")


def test_a_node_with_another_host_key_is_never_skipped(group: FakeGroup) -> None:
    def connect(node: RemoteNode) -> FakeConnection:
        if node.name == "iam-b":
            raise HostKeyError("iam-b: the host key differs")
        return group.connect(node)

    with pytest.raises(HostKeyError):
        roll_out(group.inventory, manifests("1", group), {}, unreachable="skip", connect=connect)
    assert group.systems["iam-a"].log == []


def test_both_nodes_of_a_skipped_rollout_return_to_the_same_version(group: FakeGroup) -> None:
    deploy(group, "1")
    before = states(group)
    group.unreachable = {"iam-b"}
    deploy_without(group, "2")
    group.unreachable = set()
    deploy(group, "2")
    go_back(group)
    assert states(group) == before
