from __future__ import annotations

from dataclasses import replace

import pytest

from provisioning.desired import (
    Absent,
    Account,
    Archive,
    Check,
    Database,
    Directory,
    File,
    Gate,
    Grant,
    Link,
    Package,
    Query,
    Sysctl,
    Thing,
    Unit,
    User,
    reload,
    restart,
)
from provisioning.facts import Facts, MariadbFacts, PathFact, UnitFact, question, text_sha256
from provisioning.plan import Plan, changed_lines, commit_operation, describe, make_plan, password_hash, stage_operation

CONF = File("/etc/nginx/nginx.conf", "user www-data;\n", after=(reload("nginx"),))
RIGHT = PathFact("file", sha256=text_sha256(CONF.text), owner="root", group="root", mode=0o644)
RUNS = UnitFact(loaded=True, active=True, enabled=True)
NGINX = Unit("nginx")
GOOD = Facts(paths={CONF.path: RIGHT}, units={"nginx": RUNS})


def lines(thing: Thing | tuple[Thing, ...], facts: Facts) -> list[str]:
    return describe(make_plan("iam-a", thing if isinstance(thing, tuple) else (thing,), facts))


def with_path(path: str, fact: PathFact) -> Facts:
    return Facts(paths={path: fact})


@pytest.mark.parametrize(
    ("thing", "facts", "expected"),
    [
        pytest.param(CONF, Facts(), ["/etc/nginx/nginx.conf is not there"], id="an absent file is written"),
        pytest.param(CONF, GOOD, [], id="a file that is already right changes nothing"),
        pytest.param(
            CONF,
            with_path(CONF.path, replace(RIGHT, sha256="other")),
            ["/etc/nginx/nginx.conf differs"],
            id="a file with another text is replaced",
        ),
        pytest.param(
            CONF,
            with_path(CONF.path, replace(RIGHT, mode=0o600)),
            ["/etc/nginx/nginx.conf has mode 0600, not 0644"],
            id="a file with another mode is put right",
        ),
        pytest.param(
            CONF,
            with_path(CONF.path, replace(RIGHT, owner="www-data")),
            ["/etc/nginx/nginx.conf belongs to www-data:root, not root:root"],
            id="a file of another owner is put right",
        ),
        pytest.param(
            CONF,
            with_path(CONF.path, PathFact("link", target="/etc/passwd")),
            ["/etc/nginx/nginx.conf differs"],
            id="a link in a file's place is replaced",
        ),
        pytest.param(Directory("/etc/iam"), Facts(), ["/etc/iam is not there"], id="an absent directory is made"),
        pytest.param(
            Directory("/etc/iam", mode=0o2750),
            with_path("/etc/iam", PathFact("directory", owner="root", group="root", mode=0o2750)),
            [],
            id="the set-id bit of a directory counts",
        ),
        pytest.param(Absent("/etc/x"), Facts(), [], id="an absent file that must be absent changes nothing"),
        pytest.param(
            Absent("/etc/x"), with_path("/etc/x", PathFact("file")), ["/etc/x is there"], id="a file too many goes"
        ),
        pytest.param(
            Link("/opt/iam/current", "/opt/iam/2"),
            with_path("/opt/iam/current", PathFact("link", target="/opt/iam/1")),
            ["/opt/iam/current points to /opt/iam/1"],
            id="a link to an older release is switched",
        ),
        pytest.param(Package("nginx"), Facts(packages=frozenset({"nginx"})), [], id="an installed package stays"),
        pytest.param(
            Package("nginx"), Facts(), ["package nginx is not installed"], id="a missing package is installed"
        ),
        pytest.param(User("iam"), Facts(), ["user iam is not there"], id="a missing user is made"),
        pytest.param(
            Archive("/tmp/x.tar.gz", "abc", "/opt/iam/abc"),
            with_path("/opt/iam/abc", PathFact("directory")),
            [],
            id="an unpacked release is not sent again",
        ),
        pytest.param(
            Sysctl("net.core.somaxconn", "1024"),
            Facts(sysctls={"net.core.somaxconn": ("1024", "net.core.somaxconn = 1024")}),
            [],
            id="a kernel setting that is right now and at boot stays",
        ),
        pytest.param(
            Sysctl("net.core.somaxconn", "1024"),
            Facts(sysctls={"net.core.somaxconn": ("128", "net.core.somaxconn = 1024")}),
            ["sysctl net.core.somaxconn is 128"],
            id="a kernel setting that somebody changed is put right",
        ),
        pytest.param(
            Sysctl("net.ipv4.tcp_rmem", "4096 131072 6291456"),
            Facts(
                sysctls={
                    "net.ipv4.tcp_rmem": ("4096 131072 6291456", "net.ipv4.tcp_rmem = 4096 131072 6291456"),
                }
            ),
            [],
            id="a kernel setting of several values is compared value by value",
        ),
        pytest.param(NGINX, Facts(), ["unit nginx is not there"], id="a unit whose package is not there yet"),
        pytest.param(NGINX, GOOD, [], id="a unit that runs and is enabled stays"),
        pytest.param(
            NGINX,
            Facts(units={"nginx": replace(RUNS, active=False, failed=True)}),
            ["unit nginx does not run"],
            id="a unit that failed is started",
        ),
        pytest.param(
            NGINX,
            Facts(units={"nginx": replace(RUNS, enabled=False)}),
            ["unit nginx is not enabled"],
            id="a unit that would not start at boot is enabled",
        ),
        pytest.param(
            NGINX,
            Facts(units={"nginx": replace(RUNS, needs_daemon_reload=True)}),
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
            Facts(units={"tandem-health": RUNS}),
            ["unit tandem-health is enabled"],
            id="a unit that must not run is stopped",
        ),
        pytest.param(Database("iam"), Facts(), ["database iam is not there"], id="a missing database is made"),
        pytest.param(
            Database("iam", "/opt/iam/iam.sql"),
            Facts(mariadb=MariadbFacts(databases={"iam": "schema loading by tandem"})),
            ["database iam has no complete schema"],
            id="a schema whose load was cut off is loaded again",
        ),
        pytest.param(
            Database("iam", "/opt/iam/iam.sql"),
            Facts(mariadb=MariadbFacts(databases={"iam": "filled by somebody else"})),
            [],
            id="a database that somebody else filled is left alone",
        ),
        pytest.param(
            Account("iam", "10.0.4.21", "secret"),
            Facts(mariadb=MariadbFacts(accounts={"iam@10.0.4.21": password_hash("secret")})),
            [],
            id="an account with the right password stays",
        ),
        pytest.param(
            Account("iam", "10.0.4.21", "secret"),
            Facts(mariadb=MariadbFacts(accounts={"iam@10.0.4.21": password_hash("old")})),
            ["account iam@10.0.4.21 has another password"],
            id="an account with an old password gets the new one",
        ),
        pytest.param(
            Grant("iam", "%", "iam", ("SELECT", "INSERT")),
            Facts(mariadb=MariadbFacts(grants={"iam@%": {"iam": ("INSERT", "SELECT")}})),
            [],
            id="rights are compared as a set",
        ),
        pytest.param(
            Grant("iam", "%", "iam", ("SELECT",)),
            Facts(mariadb=MariadbFacts(grants={"iam@%": {"iam": ("DROP", "SELECT")}})),
            ["grant of iam@% on iam has DROP, SELECT"],
            id="a right too many is a difference",
        ),
        pytest.param(
            Query("the administrator", "iam", "UPDATE ...", "SELECT 1"),
            Facts(mariadb=MariadbFacts(met=frozenset({"the administrator"}))),
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
    plan = make_plan("iam-a", (CONF, other, NGINX), Facts(units={"nginx": RUNS}))
    assert plan.afters == ("reload nginx",)
    assert describe(plan)[-1] == "unit nginx has changed files"
    assert commit_operation(plan)["actions"][-1] == {"kind": "unit", "name": "nginx", "enabled": True, "running": True}


def test_a_changed_unit_file_asks_for_a_daemon_reload_first() -> None:
    drop_in = File("/etc/systemd/system/nginx.service.d/x.conf", "x", after=(restart("nginx"),))
    plan = make_plan("iam-a", (drop_in, NGINX), Facts(units={"nginx": RUNS}))
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
    there = replace(RIGHT, sha256="other", text="user root;\n# by hand\n")
    facts = Facts(paths={CONF.path: there}, units={"nginx": RUNS})
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
    assert asked["paths"] == {CONF.path: text_sha256(CONF.text), "/etc/iam": ""}
    assert (asked["units"], asked["packages"], asked["accounts"]) == (["nginx"], ["nginx"], [["iam", "%"]])


def test_the_staged_operation_holds_only_what_changes() -> None:
    plan = make_plan("iam-a", (CONF, File("/etc/other", "y")), GOOD)
    assert [file["path"] for file in stage_operation(plan, "r")["files"]] == ["/etc/other"]


def test_an_empty_plan_is_false() -> None:
    assert not Plan("iam-a")


def test_the_password_hash_is_mysql_native_passwords() -> None:
    # SELECT PASSWORD('iam1234') on MariaDB 10.11
    assert password_hash("iam1234") == "*2B8E09B0AA32BD9BF10E04E896C635CF250489D4"
