from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioning.facts import Facts, question
from provisioning.health.node_checks import remedy_of
from provisioning.kinds.absent import Absent
from provisioning.kinds.account import Account, password_hash
from provisioning.kinds.archive import Archive
from provisioning.kinds.base import Item, reload, restart
from provisioning.kinds.check import Check
from provisioning.kinds.database import Database
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File, text_sha256
from provisioning.kinds.file_system import FileSystem
from provisioning.kinds.gate import Gate
from provisioning.kinds.grant import Grant
from provisioning.kinds.link import Link
from provisioning.kinds.package import Package
from provisioning.kinds.query import Query
from provisioning.kinds.timer import Timer
from provisioning.kinds.unit import CRASHES, Unit
from provisioning.kinds.user import User
from provisioning.leaving import find_leaving
from provisioning.plan import (
    FILES_CHANGE,
    Plan,
    Step,
    changed_lines,
    commit_operation,
    describe,
    make_plan,
    stage_operation,
)

CONF = File("/etc/nginx/nginx.conf", "user www-data;\n", after=(reload("nginx"),))
RIGHT = {"sha256": text_sha256(CONF.text), "owner": "root", "group": "root", "mode": 0o644}
RUNS = {"loaded": True, "active": True, "enabled": True, "needs_daemon_reload": False, "crashes": 0}
NGINX = Unit("nginx")
TIMER = Timer("refresh", "Refresh every minute", 60, random_delay_s=15)
GOOD = Facts({"file": {CONF.path: RIGHT}, "unit": {"nginx": RUNS}})


def lines(item: Item | tuple[Item, ...], facts: Facts) -> list[str]:
    return describe(make_plan("iam-a", item if isinstance(item, tuple) else (item,), facts))


def found(kind: str, **facts: Any) -> Facts:
    """The agent's facts of items of one kind."""
    return Facts({kind: facts})


def at(kind: str, path: str, fact: Any) -> Facts:
    return Facts({kind: {path: fact}})


@pytest.mark.parametrize(
    ("item", "facts", "expected"),
    [
        pytest.param(CONF, Facts(), ["/etc/nginx/nginx.conf: missing"], id="a missing file is written"),
        pytest.param(CONF, GOOD, [], id="an identical file is not changed"),
        pytest.param(
            CONF,
            at("file", CONF.path, {**RIGHT, "sha256": "other"}),
            ["/etc/nginx/nginx.conf: content differs"],
            id="a file with different content is replaced",
        ),
        pytest.param(
            CONF,
            at("file", CONF.path, {**RIGHT, "mode": 0o600}),
            ["/etc/nginx/nginx.conf: mode is 0600, must be 0644"],
            id="a wrong mode is corrected",
        ),
        pytest.param(
            CONF,
            at("file", CONF.path, {**RIGHT, "owner": "www-data"}),
            ["/etc/nginx/nginx.conf: owner is www-data:root, must be root:root"],
            id="a wrong owner is corrected",
        ),
        pytest.param(
            CONF,
            at("file", CONF.path, {"sha256": "", "is": "a symbolic link to /etc/other"}),
            ["/etc/nginx/nginx.conf: must be a file (is a symbolic link to /etc/other)"],
            id="a link at the path of a file is replaced",
        ),
        pytest.param(Directory("/etc/iam"), Facts(), ["/etc/iam: missing"], id="a missing directory is created"),
        pytest.param(
            Directory("/etc/iam", mode=0o2750),
            at("directory", "/etc/iam", {"owner": "root", "group": "root", "mode": 0o2750}),
            [],
            id="the set-id bit of a directory is compared",
        ),
        pytest.param(Absent("/etc/x"), Facts(), [], id="an absent file that must be absent changes nothing"),
        pytest.param(
            Absent("/etc/x"),
            at("absent", "/etc/x", fact="a file"),
            ["/etc/x: must not exist"],
            id="an unwanted file is removed",
        ),
        pytest.param(
            Link("/opt/iam/current", "/opt/iam/2"),
            at("link", "/opt/iam/current", {"target": "/opt/iam/1"}),
            ["/opt/iam/current: target is /opt/iam/1, must be /opt/iam/2"],
            id="a link to an older release is replaced",
        ),
        pytest.param(Package("nginx"), found("package", nginx="1.22"), [], id="an installed package is not changed"),
        pytest.param(Package("nginx"), Facts(), ["package nginx: not installed"], id="a missing package is installed"),
        pytest.param(User("iam"), Facts(), ["user iam: missing"], id="a missing user is created"),
        pytest.param(
            Archive("/tmp/x.tar.gz", "abc", "/opt/iam/abc"),
            at("archive", "/opt/iam/abc", fact=[]),
            [],
            id="an unpacked release is not sent again",
        ),
        pytest.param(
            Archive("/tmp/x.tar.gz", "abc", "/opt/iam/abc"),
            at("archive", "/opt/iam/abc", fact=["bin/iam-pump"]),
            ["/opt/iam/abc: bin/iam-pump changed on the node"],
            id="a release with a changed file is sent again",
        ),
        pytest.param(NGINX, Facts(), ["unit nginx: missing"], id="a unit whose package is not installed yet"),
        pytest.param(NGINX, GOOD, [], id="an enabled running unit is not changed"),
        pytest.param(
            NGINX,
            found("unit", nginx={**RUNS, "active": False}),
            ["unit nginx: not running"],
            id="a failed unit is started",
        ),
        pytest.param(
            NGINX,
            found("unit", nginx={**RUNS, "enabled": False}),
            ["unit nginx: not enabled"],
            id="a disabled unit is enabled",
        ),
        pytest.param(
            NGINX,
            found("unit", nginx={**RUNS, "needs_daemon_reload": True}),
            ["unit nginx: unit files changed; daemon-reload required"],
            id="an interrupted daemon-reload is performed",
        ),
        pytest.param(
            Unit("tandem-health", enabled=False, running=False),
            Facts(),
            [],
            id="a missing unit that must not run is not changed",
        ),
        pytest.param(
            Unit("tandem-health", enabled=False, running=False),
            at("unit", "tandem-health", RUNS),
            ["unit tandem-health: must be disabled"],
            id="a unit that must not run is stopped",
        ),
        pytest.param(TIMER, Facts(), ["timer refresh: missing"], id="a missing timer is created"),
        pytest.param(
            TIMER,
            at("timer", TIMER.unit, {**RUNS, **RIGHT, "sha256": text_sha256(TIMER.text)}),
            [],
            id="a correct timer is not changed",
        ),
        pytest.param(
            TIMER,
            at("timer", TIMER.unit, {**RUNS, **RIGHT, "sha256": "other"}),
            ["timer refresh: schedule differs"],
            id="a timer with a different schedule is replaced",
        ),
        pytest.param(
            TIMER,
            at("timer", TIMER.unit, {**RUNS, **RIGHT, "sha256": text_sha256(TIMER.text), "active": False}),
            ["timer refresh: not running"],
            id="a stopped timer is started",
        ),
        pytest.param(Database("iam"), Facts(), ["database iam: missing"], id="a missing database is created"),
        pytest.param(
            Database("iam", "/opt/iam/iam.sql"),
            found("database", iam="schema loading by tandem"),
            ["database iam: schema is incomplete"],
            id="an interrupted schema load is repeated",
        ),
        pytest.param(
            Database("iam", "/opt/iam/iam.sql"),
            found("database", iam="other content"),
            ["database iam: version of the schema is not recorded"],
            id="the schema of a database with other content is recorded",
        ),
        pytest.param(
            Database("iam", "/opt/iam/iam.sql", "b" * 12),
            found("database", iam=f"schema {'b' * 12} loaded by tandem"),
            [],
            id="a database with the schema of the release is not changed",
        ),
        pytest.param(
            Database("iam", "/opt/iam/iam.sql", "b" * 12, migrations=("a" * 12,)),
            found("database", iam=f"schema {'a' * 12} loaded by tandem"),
            ["database iam: schema aaaaaaaaaaaa must be migrated to bbbbbbbbbbbb"],
            id="an older schema is migrated",
        ),
        pytest.param(
            Database("iam", "/opt/iam/iam.sql", "b" * 12),
            found("database", iam="a comment of the owner"),
            [],
            id="a database with a comment of its owner is not changed",
        ),
        pytest.param(
            Account("iam", "10.0.4.21", "secret"),
            at("account", "iam@10.0.4.21", password_hash("secret")),
            [],
            id="an account with the correct password is not changed",
        ),
        pytest.param(
            Account("iam", "10.0.4.21", "secret"),
            at("account", "iam@10.0.4.21", password_hash("old")),
            ["account iam@10.0.4.21: password differs"],
            id="an old password is replaced",
        ),
        pytest.param(
            Grant("iam", "%", "iam", ("SELECT", "INSERT")),
            at("grant", "iam@%", {"iam": ("INSERT", "SELECT")}),
            [],
            id="privileges are compared as a set",
        ),
        pytest.param(
            Grant("iam", "%", "iam", ("SELECT",)),
            at("grant", "iam@%", {"iam": ("DROP", "SELECT")}),
            ["grant of iam@% on iam: privileges are DROP, SELECT, must be SELECT"],
            id="an additional privilege is a difference",
        ),
        pytest.param(
            Query("the administrator", "iam", "UPDATE ...", "SELECT 1"),
            at("query", "the administrator", fact=True),
            [],
            id="a statement whose condition holds is not run",
        ),
        pytest.param(Gate("nginx", "http://10.0.4.20/"), Facts(), [], id="a gate is not a change"),
    ],
)
def test_only_differences_are_planned(item: Item, facts: Facts, expected: list[str]) -> None:
    plan = make_plan("iam-a", (item,), replace(facts, applied=find_leaving((item,), ()).record))
    assert describe(plan) == expected
    assert bool(plan) == bool(expected)


NEW = Database("iam", "/opt/iam/iam.sql", "b" * 12, migrations=("c" * 12,))


@pytest.mark.parametrize(
    ("item", "facts", "expected"),
    [
        pytest.param(
            NEW,
            found("database", iam=f"schema {'a' * 12} loaded by tandem"),
            "must contain sql/migrate-aaaaaaaaaaaa.sql",
            id="a changed schema without a migration",
        ),
        pytest.param(
            NEW,
            found("database", iam=f"schema {'b' * 12} migrating by tandem"),
            "was interrupted; deploy the release",
            id="the old release after an interrupted migration",
        ),
        pytest.param(
            NEW, found("database", iam=f"schema {'c' * 12} migrating by tandem"), "", id="a repeated migration"
        ),
        pytest.param(NEW, Facts(), "", id="MariaDB does not run"),
        pytest.param(
            FileSystem("/dev/x"),
            at("file_system", "/dev/x", "gpt"),
            "must be blank or ext4 (has gpt)",
            id="another disk",
        ),
        pytest.param(FileSystem("/dev/x"), at("file_system", "/dev/x", ""), "", id="a blank disk"),
    ],
)
def test_what_cannot_be_applied_is_refused_in_the_plan(item: Item, facts: Facts, expected: str) -> None:
    refused = "".join(map(str, make_plan("iam-a", (item,), facts).refused))
    assert expected in refused
    assert bool(expected) == bool(refused)


def test_a_changed_file_reloads_its_unit_once() -> None:
    other = File("/etc/nginx/other.conf", "x", after=(reload("nginx"),))
    plan = make_plan("iam-a", (CONF, other, NGINX), found("unit", nginx=RUNS))
    assert plan.unit_actions == ("reload nginx",)
    assert describe(plan)[-1] == "unit nginx: its files change"
    assert commit_operation(plan)["actions"][-1] == {"kind": "unit", "name": "nginx", "enabled": True, "running": True}


def test_a_changed_unit_file_requires_a_daemon_reload_first() -> None:
    drop_in = File("/etc/systemd/system/nginx.service.d/x.conf", "x", after=(restart("nginx"),))
    plan = make_plan("iam-a", (drop_in, NGINX), found("unit", nginx=RUNS))
    assert plan.unit_actions == ("daemon-reload", "restart nginx")
    assert plan.restarts() == ("nginx",)


def test_pending_actions_are_planned_although_no_file_differs() -> None:
    plan = make_plan("iam-a", (CONF, NGINX), replace(GOOD, pending=("reload nginx",)))
    assert describe(plan) == ["unit nginx: its files change", "reload nginx: not finished by an interrupted run"]
    assert plan


def test_the_end_of_an_interrupted_drain_is_planned() -> None:
    assert lines((CONF, NGINX), replace(GOOD, draining=True)) == ["still drained by an interrupted switchover"]


def test_only_checks_with_a_candidate_below_their_directories_run() -> None:
    nginx, keepalived = Check("nginx", ("true",), ("/etc/nginx",)), Check("keepalived", ("true",), ("/etc/keepalived",))
    assert make_plan("iam-a", (nginx, keepalived, CONF), Facts()).checks == (nginx,)


def test_a_check_of_etc_nginx_does_not_see_etc_nginx_extra() -> None:
    check = Check("nginx", ("true",), ("/etc/nginx",))
    assert make_plan("iam-a", (check, File("/etc/nginx-extra/x", "x")), Facts()).checks == ()


def test_a_plan_is_in_the_order_of_the_manifest() -> None:
    items = (CONF, NGINX, Link("/opt/iam/current", "/opt/iam/2"), Unit("iam-apiserver"))
    assert [step.item for step in make_plan("iam-a", items, Facts()).commit] == list(items)


def test_drift_shows_the_lines_that_differ() -> None:
    fact = {**RIGHT, "sha256": "other", "text": "user root;\n# by hand\n"}
    facts = Facts({"file": {CONF.path: fact}, "unit": {"nginx": RUNS}})
    plan = make_plan("iam-a", (CONF, NGINX), facts)
    assert changed_lines(plan, facts, frozenset()) == [
        "/etc/nginx/nginx.conf: content differs",
        "  -user root;",
        "  -# by hand",
        "  +user www-data;",
        "unit nginx: its files change",
    ]
    assert "user" not in "".join(changed_lines(plan, facts, frozenset({CONF.path})))


def test_the_question_covers_all_items_that_can_differ() -> None:
    operation = question(
        (CONF, NGINX, Package("nginx"), Account("iam", "%", "x"), Directory("/etc/iam")), ["10.0.4.99"]
    )
    questions = operation["questions"]
    assert questions["file"] == [{"path": CONF.path, "sha256": text_sha256(CONF.text)}]
    assert questions["directory"] == ["/etc/iam"]
    assert (questions["unit"], questions["package"], questions["account"]) == (["nginx"], ["nginx"], ["iam@%"])


def test_only_changed_files_are_staged() -> None:
    plan = make_plan("iam-a", (CONF, File("/etc/other", "y")), GOOD)
    assert [file["path"] for file in stage_operation(plan, "r", 1)["files"]] == ["/etc/other"]


def test_an_empty_plan_is_false() -> None:
    assert not Plan("iam-a")


def test_the_password_hash_is_that_of_mysql_native_password() -> None:
    # SELECT PASSWORD('iam1234') on MariaDB 10.11
    assert password_hash("iam1234") == "*2B8E09B0AA32BD9BF10E04E896C635CF250489D4"


def test_the_remedy_for_a_crash_loop_is_not_another_rollout() -> None:
    loops = Step(Unit("iam-pump"), "crashes repeatedly (restarted 7 times)")
    stopped = Step(Unit("nginx"), "not running")
    assert remedy_of(Plan("iam-a", commit=(stopped,))) == "tandem up corrects it"
    look_at = "journalctl -u iam-pump; systemctl cat iam-pump"
    assert remedy_of(Plan("iam-a", commit=(loops,))) == look_at
    assert remedy_of(Plan("iam-a", commit=(loops, stopped))) == f"{look_at}; tandem up for the rest"


def _step(unit: str, why: str = FILES_CHANGE) -> Step:
    return Step(Unit(unit), why)


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (Plan("a", commit=(_step("nginx"),), unit_actions=("reload nginx",)), False),
        (Plan("a", commit=(_step("iam-apiserver"),), unit_actions=("restart iam-apiserver",)), False),
        (Plan("a", unit_actions=("restart systemd-journald", "restart tandem-backup.timer")), False),
        (Plan("a", commit=(_step("chrony", "not running"),)), False),
        (Plan("a", commit=(_step("nginx"),), unit_actions=("restart nginx",)), True),
        (Plan("a", commit=(_step("nginx", CRASHES),), unit_actions=("reload nginx",)), True),
        (Plan("a", commit=(_step("keepalived"),), unit_actions=("reload keepalived",)), True),
        (Plan("a", commit=(_step("keepalived", "must be stopped"),)), True),
        (Plan("a", pending=("reload nginx",)), True),
        (Plan("a", unfinished=("restart iam-apiserver",)), True),
    ],
)
def test_a_switchover_is_needed_if_clients_would_be_cut_off(plan: Plan, *, expected: bool) -> None:
    assert plan.cuts_off_clients() is expected
