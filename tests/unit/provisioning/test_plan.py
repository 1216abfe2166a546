from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioning.facts import Facts, question
from provisioning.kinds.absent import Absent
from provisioning.kinds.account import Account, password_hash
from provisioning.kinds.archive import Archive
from provisioning.kinds.base import Thing, reload, restart
from provisioning.kinds.check import Check
from provisioning.kinds.database import Database
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File, text_sha256
from provisioning.kinds.gate import Gate
from provisioning.kinds.grant import Grant
from provisioning.kinds.link import Link
from provisioning.kinds.package import Package
from provisioning.kinds.query import Query
from provisioning.kinds.sysctl import Sysctl
from provisioning.kinds.timer import Timer
from provisioning.kinds.unit import Unit
from provisioning.kinds.user import User
from provisioning.plan import Plan, changed_lines, commit_operation, describe, make_plan, stage_operation

CONF = File("/etc/nginx/nginx.conf", "user www-data;\n", after=(reload("nginx"),))
RIGHT = {"sha256": text_sha256(CONF.text), "owner": "root", "group": "root", "mode": 0o644}
RUNS = {"loaded": True, "active": True, "enabled": True, "needs_daemon_reload": False}
NGINX = Unit("nginx")
TIMER = Timer("refresh", "Refresh every minute", 60, random_delay_s=15)
GOOD = Facts({"file": {CONF.path: RIGHT}, "unit": {"nginx": RUNS}})


def lines(thing: Thing | tuple[Thing, ...], facts: Facts) -> list[str]:
    return describe(make_plan("iam-a", thing if isinstance(thing, tuple) else (thing,), facts))


def found(kind: str, **facts: Any) -> Facts:
    """What the agent says of things of one kind."""
    return Facts({kind: facts})


def at(kind: str, path: str, fact: Any) -> Facts:
    return Facts({kind: {path: fact}})


@pytest.mark.parametrize(
    ("thing", "facts", "expected"),
    [
        pytest.param(CONF, Facts(), ["/etc/nginx/nginx.conf is not there"], id="an absent file is written"),
        pytest.param(CONF, GOOD, [], id="a file that is already right changes nothing"),
        pytest.param(
            CONF,
            at("file", CONF.path, {**RIGHT, "sha256": "other"}),
            ["/etc/nginx/nginx.conf differs"],
            id="a file with another text is replaced",
        ),
        pytest.param(
            CONF,
            at("file", CONF.path, {**RIGHT, "mode": 0o600}),
            ["/etc/nginx/nginx.conf has mode 0600, not 0644"],
            id="a file with another mode is put right",
        ),
        pytest.param(
            CONF,
            at("file", CONF.path, {**RIGHT, "owner": "www-data"}),
            ["/etc/nginx/nginx.conf belongs to www-data:root, not root:root"],
            id="a file of another owner is put right",
        ),
        pytest.param(
            CONF,
            at("file", CONF.path, {"sha256": ""}),
            ["/etc/nginx/nginx.conf differs"],
            id="a link in a file's place is replaced",
        ),
        pytest.param(Directory("/etc/iam"), Facts(), ["/etc/iam is not there"], id="an absent directory is made"),
        pytest.param(
            Directory("/etc/iam", mode=0o2750),
            at("directory", "/etc/iam", {"owner": "root", "group": "root", "mode": 0o2750}),
            [],
            id="the set-id bit of a directory counts",
        ),
        pytest.param(Absent("/etc/x"), Facts(), [], id="an absent file that must be absent changes nothing"),
        pytest.param(
            Absent("/etc/x"), at("absent", "/etc/x", fact=True), ["/etc/x is there"], id="a file too many goes"
        ),
        pytest.param(
            Link("/opt/iam/current", "/opt/iam/2"),
            at("link", "/opt/iam/current", "/opt/iam/1"),
            ["/opt/iam/current points to /opt/iam/1"],
            id="a link to an older release is switched",
        ),
        pytest.param(Package("nginx"), found("package", nginx="1.22"), [], id="an installed package stays"),
        pytest.param(
            Package("nginx"), Facts(), ["package nginx is not installed"], id="a missing package is installed"
        ),
        pytest.param(User("iam"), Facts(), ["user iam is not there"], id="a missing user is made"),
        pytest.param(
            Archive("/tmp/x.tar.gz", "abc", "/opt/iam/abc"),
            at("archive", "/opt/iam/abc", fact=True),
            [],
            id="an unpacked release is not sent again",
        ),
        pytest.param(
            Sysctl("net.core.somaxconn", "1024"),
            at("sysctl", "net.core.somaxconn", {"now": "1024", "boot": "net.core.somaxconn = 1024"}),
            [],
            id="a kernel setting that is right now and at boot stays",
        ),
        pytest.param(
            Sysctl("net.core.somaxconn", "1024"),
            at("sysctl", "net.core.somaxconn", {"now": "128", "boot": "net.core.somaxconn = 1024"}),
            ["sysctl net.core.somaxconn is 128"],
            id="a kernel setting that somebody changed is put right",
        ),
        pytest.param(
            Sysctl("net.ipv4.tcp_rmem", "4096 131072 6291456"),
            at(
                "sysctl",
                "net.ipv4.tcp_rmem",
                {"now": "4096 131072 6291456", "boot": "net.ipv4.tcp_rmem = 4096 131072 6291456"},
            ),
            [],
            id="a kernel setting of several values is compared value by value",
        ),
        pytest.param(NGINX, Facts(), ["unit nginx is not there"], id="a unit whose package is not there yet"),
        pytest.param(NGINX, GOOD, [], id="a unit that runs and is enabled stays"),
        pytest.param(
            NGINX,
            found("unit", nginx={**RUNS, "active": False}),
            ["unit nginx does not run"],
            id="a unit that failed is started",
        ),
        pytest.param(
            NGINX,
            found("unit", nginx={**RUNS, "enabled": False}),
            ["unit nginx is not enabled"],
            id="a unit that would not start at boot is enabled",
        ),
        pytest.param(
            NGINX,
            found("unit", nginx={**RUNS, "needs_daemon_reload": True}),
            ["unit nginx has unit files that systemd has not read"],
            id="a daemon-reload that was cut off is done",
        ),
        pytest.param(
            Unit("tandem-health", enabled=False, running=False),
            Facts(),
            [],
            id="a unit that must not run and is not there changes nothing",
        ),
        pytest.param(
            Unit("tandem-health", enabled=False, running=False),
            at("unit", "tandem-health", RUNS),
            ["unit tandem-health is enabled"],
            id="a unit that must not run is stopped",
        ),
        pytest.param(TIMER, Facts(), ["timer refresh is not there"], id="an absent timer is set"),
        pytest.param(
            TIMER, at("timer", TIMER.unit, {**RUNS, "sha256": text_sha256(TIMER.text)}), [], id="a timer stays"
        ),
        pytest.param(
            TIMER,
            at("timer", TIMER.unit, {**RUNS, "sha256": "other"}),
            ["timer refresh has another schedule"],
            id="a timer with another schedule is set again",
        ),
        pytest.param(
            TIMER,
            at("timer", TIMER.unit, {**RUNS, "sha256": text_sha256(TIMER.text), "active": False}),
            ["timer refresh does not run"],
            id="a stopped timer is started",
        ),
        pytest.param(Database("iam"), Facts(), ["database iam is not there"], id="a missing database is made"),
        pytest.param(
            Database("iam", "/opt/iam/iam.sql"),
            found("database", iam="schema loading by tandem"),
            ["database iam has no complete schema"],
            id="a schema whose load was cut off is loaded again",
        ),
        pytest.param(
            Database("iam", "/opt/iam/iam.sql"),
            found("database", iam="filled by somebody else"),
            [],
            id="a database that somebody else filled is left alone",
        ),
        pytest.param(
            Account("iam", "10.0.4.21", "secret"),
            at("account", "iam@10.0.4.21", password_hash("secret")),
            [],
            id="an account with the right password stays",
        ),
        pytest.param(
            Account("iam", "10.0.4.21", "secret"),
            at("account", "iam@10.0.4.21", password_hash("old")),
            ["account iam@10.0.4.21 has another password"],
            id="an account with an old password gets the new one",
        ),
        pytest.param(
            Grant("iam", "%", "iam", ("SELECT", "INSERT")),
            at("grant", "iam@%", {"iam": ("INSERT", "SELECT")}),
            [],
            id="rights are compared as a set",
        ),
        pytest.param(
            Grant("iam", "%", "iam", ("SELECT",)),
            at("grant", "iam@%", {"iam": ("DROP", "SELECT")}),
            ["grant of iam@% on iam has DROP, SELECT"],
            id="a right too many is a difference",
        ),
        pytest.param(
            Query("the administrator", "iam", "UPDATE ...", "SELECT 1"),
            at("query", "the administrator", fact=True),
            [],
            id="a query whose condition holds is not run",
        ),
        pytest.param(Gate("nginx", "http://10.0.4.20/"), Facts(), [], id="a gate is no change"),
    ],
)
def test_what_differs_is_planned_and_nothing_else(thing: Thing, facts: Facts, expected: list[str]) -> None:
    plan = make_plan("iam-a", (thing,), facts)
    assert describe(plan) == expected
    assert bool(plan) == bool(expected)


def test_a_changed_file_reloads_its_unit_once() -> None:
    other = File("/etc/nginx/other.conf", "x", after=(reload("nginx"),))
    plan = make_plan("iam-a", (CONF, other, NGINX), found("unit", nginx=RUNS))
    assert plan.afters == ("reload nginx",)
    assert describe(plan)[-1] == "unit nginx has changed files"
    assert commit_operation(plan)["actions"][-1] == {"kind": "unit", "name": "nginx", "enabled": True, "running": True}


def test_a_changed_unit_file_asks_for_a_daemon_reload_first() -> None:
    drop_in = File("/etc/systemd/system/nginx.service.d/x.conf", "x", after=(restart("nginx"),))
    plan = make_plan("iam-a", (drop_in, NGINX), found("unit", nginx=RUNS))
    assert plan.afters == ("daemon-reload", "restart nginx")
    assert plan.restarts() == ("nginx",)


def test_what_was_left_pending_is_work_though_all_files_are_right() -> None:
    plan = make_plan("iam-a", (CONF, NGINX), replace(GOOD, pending=("reload nginx",)))
    assert describe(plan) == ["unit nginx has changed files", "reload nginx was cut off in an earlier run"]
    assert plan


def test_a_drain_that_was_left_on_is_work() -> None:
    assert lines((CONF, NGINX), replace(GOOD, draining=True)) == ["it is still drained from an earlier hand-over"]


def test_only_the_checks_that_see_a_candidate_are_run() -> None:
    nginx, keepalived = Check("nginx", ("true",), ("/etc/nginx",)), Check("keepalived", ("true",), ("/etc/keepalived",))
    assert make_plan("iam-a", (nginx, keepalived, CONF), Facts()).checks == (nginx,)


def test_a_check_of_etc_nginx_does_not_see_etc_nginx_extra() -> None:
    check = Check("nginx", ("true",), ("/etc/nginx",))
    assert make_plan("iam-a", (check, File("/etc/nginx-extra/x", "x")), Facts()).checks == ()


def test_the_order_is_the_manifests() -> None:
    things = (CONF, NGINX, Link("/opt/iam/current", "/opt/iam/2"), Unit("iam-apiserver"))
    assert [step.thing for step in make_plan("iam-a", things, Facts()).commit] == list(things)


def test_drift_shows_the_lines_that_differ() -> None:
    there = {**RIGHT, "sha256": "other", "text": "user root;\n# by hand\n"}
    facts = Facts({"file": {CONF.path: there}, "unit": {"nginx": RUNS}})
    plan = make_plan("iam-a", (CONF, NGINX), facts)
    assert changed_lines(plan, facts, frozenset()) == [
        "/etc/nginx/nginx.conf differs",
        "  -user root;",
        "  -# by hand",
        "  +user www-data;",
        "unit nginx has changed files",
    ]
    assert "user" not in "".join(changed_lines(plan, facts, frozenset({CONF.path})))


def test_the_question_names_everything_that_can_differ() -> None:
    asked = question((CONF, NGINX, Package("nginx"), Account("iam", "%", "x"), Directory("/etc/iam")), ["10.0.4.99"])
    questions = asked["questions"]
    assert questions["file"] == [{"path": CONF.path, "sha256": text_sha256(CONF.text)}]
    assert questions["directory"] == ["/etc/iam"]
    assert (questions["unit"], questions["package"], questions["account"]) == (["nginx"], ["nginx"], ["iam@%"])


def test_the_staged_operation_holds_only_what_changes() -> None:
    plan = make_plan("iam-a", (CONF, File("/etc/other", "y")), GOOD)
    assert [file["path"] for file in stage_operation(plan, "r")["files"]] == ["/etc/other"]


def test_an_empty_plan_is_false() -> None:
    assert not Plan("iam-a")


def test_the_password_hash_is_mysql_native_passwords() -> None:
    # SELECT PASSWORD('iam1234') on MariaDB 10.11
    assert password_hash("iam1234") == "*2B8E09B0AA32BD9BF10E04E896C635CF250489D4"
