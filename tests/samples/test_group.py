"""Two nodes with the configuration that provisioning renders: MariaDB, Redis and all services as processes.

The same bodies run on a real release where TANDEM_REAL_IAM names a directory with iam-apiserver, iam-authz-server,
iam-pump and iam.sql of marmotedu/iam (built with the error-code table).
"""

from __future__ import annotations

import os
import ssl
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from iam_calls import ALLOW, Grant, ask, login
from iam_real_servers import (
    ADMIN_PASSWORD,
    API,
    AUTHZ,
    SERVICES,
    RealNode,
    group,
    http_status,
    wait_until,
)

from provisioning.kinds.query import Query

pytestmark = pytest.mark.root

_REAL = os.environ.get("TANDEM_REAL_IAM", "")
_CHANNEL = "iam.cluster.notifications"


def pack_real_release(directory: Path) -> str:
    """The layout of a release from a directory of binaries."""
    path = directory / "real.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in SERVICES:
            archive.add(Path(_REAL) / name, f"bin/{name}")
        archive.add(Path(_REAL) / "iam.sql", "sql/iam.sql")
    return str(path)


@pytest.fixture(scope="module", params=["stand-in", *(["real"] if _REAL else [])])
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return "" if request.param == "stand-in" else pack_real_release(tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def nodes(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealNode, RealNode]]:
    """Healthy nodes, shared by the tests of one release: each test leaves them so."""
    with group(tmp_path_factory.mktemp("group"), release) as both:
        for node in both:
            node.start()
        for node in both:
            node.wait_until_healthy()
        wait_until_both_subscribed(both[0])
        yield both


def wait_until_both_subscribed(primary: RealNode) -> None:
    """The real authz-server serves /healthz before it subscribes: 10 s before, if Redis was not connected at once."""
    with primary.redis() as client:
        wait_until(lambda: dict(client.pubsub_numsub(_CHANNEL))[_CHANNEL.encode()] == 2, "both nodes subscribed")


def test_a_token_of_one_node_is_good_on_the_other(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    assert ask(b, API, "GET", "/v1/users/admin", None, login(a))[0] == 200


def test_the_published_default_password_is_not_the_administrators_unless_it_was_chosen(
    nodes: tuple[RealNode, RealNode],
) -> None:
    a, _ = nodes
    query, _ = [item for item in a.items if isinstance(item, Query)]
    assert not a.run_query(query), "set once"
    assert ask(a, API, "POST", "/login", {"username": "admin", "password": "Other@2021"})[0] == 401


def test_accounts_of_nodes_that_left_the_group_are_removed_and_others_stay(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    _, query = [item for item in a.items if isinstance(item, Query)]
    assert not a.run_query(query), "nothing to do"
    a.run_statement(query)  # as on a fresh node, where the plan could not know that
    a.sql("CREATE USER iam@'10.0.4.77' IDENTIFIED BY 'x'; CREATE USER iam@'%'; CREATE USER monitor@'10.0.4.77';")
    assert a.run_query(query)
    assert not a.run_query(query)
    assert a.sql("SELECT host FROM mysql.user WHERE user = 'iam' ORDER BY host;").split() == [
        "127.0.0.1", a.node.private_address, b.node.private_address,
    ]  # fmt: skip
    assert a.sql("SELECT host FROM mysql.user WHERE user = 'monitor';").split() == ["10.0.4.77"]
    assert ask(b, API, "GET", "/v1/users/admin", None, login(b))[0] == 200


def test_a_policy_made_on_one_node_decides_on_both_within_seconds(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    grant = Grant(a, "policy-both")
    began = time.monotonic()
    grant.wait_until_allowed(a, b)
    assert time.monotonic() - began < 5


def test_audit_records_of_both_nodes_arrive_in_csv_files_once_each(nodes: tuple[RealNode, RealNode]) -> None:
    grant = Grant(nodes[0], "audit")
    grant.wait_until_allowed(*nodes)
    resources = {f"res:audit-{number}" for number in range(40)}
    with ThreadPoolExecutor(4) as pool:
        for number, resource in enumerate(resources):
            pool.submit(grant.decision, nodes[number % 2], resource)

    def written() -> list[str]:
        texts = [path.read_text() for node in nodes for path in (node.directory / "var/lib/iam/audit").glob("*.csv")]
        return [resource for resource in resources for text in texts for _ in range(text.count(f'"{resource}"'))]

    wait_until(lambda: len(written()) >= len(resources), "audit records in csv files")
    assert sorted(written()) == sorted(resources)


def test_each_node_writes_the_requests_that_it_got_into_its_log(nodes: tuple[RealNode, RealNode]) -> None:
    for node, count in zip(nodes, (3, 5), strict=True):
        for port in (API, AUTHZ):
            for number in range(count):
                assert http_status(node.url(port, f"/healthz?balance={number}")) == 200
    for node, count in zip(nodes, (3, 5), strict=True):
        for name in ("iam-apiserver", "iam-authz-server"):
            lines = [line for line in node.log_of(name).splitlines() if "GET /healthz?balance=" in line]
            assert len(lines) == count


def test_a_deleted_users_policies_go_to_the_audit_table_by_the_trigger(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    grant = Grant(b, "to-delete")
    assert ask(b, API, "DELETE", "/v1/users/to-delete", None, login(a))[0] == 200
    assert a.sql("SELECT name FROM policy_audit WHERE username = 'to-delete';", "iam").split() == ["p"]
    assert a.sql("SELECT COUNT(*) FROM secret WHERE username = 'to-delete';", "iam").split() == ["0"]
    assert grant


def test_a_deleted_users_secret_stops_working_with_the_next_refresh(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    grant = Grant(a, "deleted-secret")
    grant.wait_until_allowed(a, b)
    time.sleep(1.2)  # a reload that its creation asked for may still be under way
    assert ask(a, API, "DELETE", "/v1/users/deleted-secret", None, login(a))[0] == 200
    assert grant.decision(b) == {"allowed": True}, "nobody announces a deletion"
    a.refresh()
    wait_until(lambda: "allowed" not in grant.decision(b), "the deleted user's secret is refused")


def test_a_change_made_while_redis_was_away_is_seen_after_the_next_refresh(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    grant = Grant(a, "redis-away")
    grant.wait_until_allowed(a, b)
    a.processes["redis"].stop()
    try:
        grant.set_policy("PUT", "/v1/policies/p", {**ALLOW, "effect": "deny"})
        assert grant.decision(b) == {"allowed": True}
    finally:
        a.start_redis()
    wait_until_both_subscribed(a)
    a.refresh()
    for node in nodes:
        wait_until(lambda node=node: grant.decision(node).get("denied"), f"the change on {node.node.name}")
    # The real apiserver asks once a second whether Redis is there, and sends no notice before it knows.
    time.sleep(2)


def test_an_outage_of_mariadb_heals_by_itself(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    grant = Grant(a, "mariadb-away")
    grant.wait_until_allowed(a, b)
    bearer = login(b)
    a.processes["mariadb"].stop()
    try:
        assert ask(b, API, "POST", "/login", {"username": "admin", "password": ADMIN_PASSWORD})[0] == 401
        assert ask(b, API, "GET", "/v1/secrets", None, bearer)[0] == 500
        assert http_status(b.url(API, "/healthz")) == 200
        assert grant.decision(b) == {"allowed": True}
    finally:
        a.start_mariadb()
    for node in nodes:
        wait_until(lambda node=node: ask(node, API, "GET", "/v1/secrets", None, bearer)[0] == 200, "the API again")


def test_an_apiserver_without_its_database_ends_so_that_systemd_starts_it_again(
    nodes: tuple[RealNode, RealNode],
) -> None:
    a, b = nodes
    b.processes["iam-apiserver"].stop()
    a.processes["mariadb"].stop()
    try:
        b.start("iam-apiserver")
        child = b.processes["iam-apiserver"].child
        assert child
        assert child.wait(20) == 1
    finally:
        a.start_mariadb()
        b.start("iam-apiserver")
        b.wait_until_healthy("iam-apiserver")


def test_an_authz_server_waits_for_its_apiserver_and_then_serves(nodes: tuple[RealNode, RealNode]) -> None:
    _, b = nodes
    for name in ("iam-authz-server", "iam-apiserver"):
        b.processes[name].stop()
    b.start("iam-authz-server")
    time.sleep(2)
    assert http_status(b.url(AUTHZ, "/healthz")) == 0
    b.processes["iam-authz-server"].stop()  # heard while it waits
    b.start("iam-authz-server")
    b.start("iam-apiserver")
    b.wait_until_healthy("iam-apiserver", "iam-authz-server")


def test_a_pump_that_is_killed_is_followed_by_the_other_nodes(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    grant = Grant(a, "pump-killed")
    grant.wait_until_allowed(a, b)
    a.processes["iam-pump"].kill()
    try:
        grant.decision(a, "res:after-kill")
        files = b.directory / "var/lib/iam/audit"
        wait_until(
            lambda: any("res:after-kill" in path.read_text() for path in files.glob("*.csv")), "the other pump has it"
        )
    finally:
        a.start("iam-pump")
        a.wait_until_healthy("iam-pump")


def test_a_lock_that_a_dead_pump_left_is_freed_by_the_second_refresh(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    grant = Grant(a, "dead-lock")
    grant.wait_until_allowed(a, b)
    with a.redis() as client:
        wait_until(lambda: client.set("iam-pump", "of a node that lost its power", nx=True, ex=600), "the lock")
        grant.decision(b, "res:dead-lock")
        assert a.refresh() == ""
        assert client.exists("iam-pump")
        assert "deleted the stale lock" in a.refresh()
        wait_until(lambda: not client.llen("analytics-iam-system-analytics"), "the records are moved again")
    assert b.refresh() == ""


def test_https_is_served_with_the_nodes_certificate(nodes: tuple[RealNode, RealNode]) -> None:
    for node in nodes:
        context = ssl.create_default_context(cafile=str(node.directory / "etc/iam/ca.crt"))
        for port in (8443, 9443):
            url = f"https://{node.node.private_address}:{port}/healthz"
            with urllib.request.urlopen(url, timeout=5, context=context) as answer:
                assert answer.status == 200


def test_nothing_of_the_services_listens_beside_the_nodes_addresses(nodes: tuple[RealNode, RealNode]) -> None:
    ours = {process.child.pid for node in nodes for process in node.processes.values() if process.child}
    told = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    addresses = {
        line.split()[3].rpartition(":")[0] for line in told.splitlines() if any(f"pid={pid}," in line for pid in ours)
    }
    assert addresses == {node.node.private_address for node in nodes}
