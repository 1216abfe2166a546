"""Two nodes with the configuration that provisioning renders: MariaDB, Redis and all services as processes.

The tests also run with a real release when TANDEM_REAL_IAM names a directory with iam-apiserver, iam-authz-server,
iam-pump and iam.sql of marmotedu/iam (built with the error-code table).
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import bcrypt
import pytest
from iam_calls import ALLOW, Grant, login, send
from iam_real_servers import (
    ADMIN_PASSWORD,
    API,
    AUTHZ,
    SERVICES,
    SYSLOG_PORT,
    RealNode,
    group,
    http_status,
    wait_until,
)

from provisioning import placeholders
from provisioning.agent import kinds
from provisioning.agent.node import Node
from provisioning.kinds.endpoint import Endpoint
from provisioning.kinds.iam_account import IamAccount
from provisioning.kinds.query import Query

pytestmark = pytest.mark.root

_REAL = os.environ.get("TANDEM_REAL_IAM", "")
_CHANNEL = "iam.cluster.notifications"


def pack_real_release(directory: Path) -> str:
    """Pack a directory of binaries as a release archive. Returns its path."""
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
    """Healthy nodes, shared by the tests of one release. Each test must leave them healthy."""
    with group(tmp_path_factory.mktemp("group"), release) as both:
        for node in both:
            node.start()
        for node in both:
            node.wait_until_healthy()
        wait_until_both_subscribed(both[0])
        yield both


def wait_until_both_subscribed(primary: RealNode) -> None:
    """Wait for both authz-servers: the real one may subscribe up to 10 s after it first serves /healthz."""
    with primary.redis() as client:
        wait_until(lambda: dict(client.pubsub_numsub(_CHANNEL))[_CHANNEL.encode()] == 2, "both nodes subscribed")


def test_a_token_of_one_node_is_valid_on_the_other(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    assert send(b, API, "GET", "/v1/users/admin", None, login(a))[0] == 200


def run_health_checks(node: RealNode, nonce: str) -> list[tuple[str, str, str]]:
    """Run the checks of the databases and of the account for health checks, as the agent runs them on the node."""
    checks = [item for item in node.items if isinstance(item, IamAccount | Endpoint)]
    found: list[tuple[str, str, str]] = []
    for item in (each.with_secrets(node.secrets(), node.node.name) for each in checks):
        module = kinds.get(item.kind())
        results = module.check(Node(), {**item.operation(), "nonce": nonce})
        found += [(each["name"], each["level"], each["seen"]) for each in results]
    return found


def test_the_health_checks_log_in_and_make_a_decision_on_each_node(nodes: tuple[RealNode, RealNode]) -> None:
    for node in nodes:
        results = run_health_checks(node, "test")
        assert [(name, level) for name, level, _ in results] == [
            ("login", "ok"), ("authorization", "ok"), ("databases", "ok"), ("databases", "ok"),
        ], results  # fmt: skip
    # One account with one secret and one policy, however many nodes and runs.
    headers = login(nodes[0])
    assert send(nodes[0], API, "GET", "/v1/users/tandem-health", None, headers)[0] == 200


def rotate_health_password(node: RealNode, generation: str, password: str) -> list[bool]:
    """Run the statement of a rollout twice. Returns whether it ran."""
    node.deployment = replace(node.deployment, health_generation=generation)
    node.other_secrets = {
        placeholders.IAM_HEALTH_PASSWORD: password,
        placeholders.IAM_HEALTH_PASSWORD_HASH: bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode(),
    }
    query = next(item for item in node.items if isinstance(item, Query) and "health checks" in item.name)
    return [node.run_query(query), node.run_query(query)]


def test_the_password_of_the_account_for_health_checks_is_rotated(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    assert {level for _, level, _ in run_health_checks(a, "before")} == {"ok"}
    for generation, password in (("2", "Second@2021"), ("1", "Health@2021")):
        assert rotate_health_password(a, generation, password) == [True, False]
        assert {level for _, level, _ in run_health_checks(a, generation)} == {"ok"}
        _, level, _ = run_health_checks(b, "other")[0]
        assert level == ("warning" if generation == "2" else "ok")


def test_an_account_that_the_first_check_creates_has_the_present_generation(nodes: tuple[RealNode, RealNode]) -> None:
    a, _ = nodes
    headers = login(a)
    assert send(a, API, "DELETE", "/v1/users/tandem-health", None, headers)[0] == 200
    assert rotate_health_password(a, "3", "Third@2021") == [False, False]
    assert {level for _, level, _ in run_health_checks(a, "created")} == {"ok"}
    assert rotate_health_password(a, "3", "Third@2021") == [False, False]
    assert rotate_health_password(a, "1", "Health@2021") == [True, False]


def test_the_administrators_password_is_set_once_and_other_passwords_are_refused(
    nodes: tuple[RealNode, RealNode],
) -> None:
    a, _ = nodes
    query = next(item for item in a.items if isinstance(item, Query) and item.name == "the administrator's account")
    assert not a.run_query(query), "set once"
    assert send(a, API, "POST", "/login", {"username": "admin", "password": "Other@2021"})[0] == 401


def test_a_policy_created_on_one_node_applies_to_both_within_5_seconds(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    grant = Grant(a, "policy-both")
    began = time.monotonic()
    grant.wait_until_allowed(a, b)
    assert time.monotonic() - began < 5


def test_each_audit_record_of_both_nodes_is_written_once_to_a_csv_file(nodes: tuple[RealNode, RealNode]) -> None:
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


def test_each_audit_record_of_both_nodes_reaches_the_syslog_server_once(nodes: tuple[RealNode, RealNode]) -> None:
    grant = Grant(nodes[0], "audit-copy")
    grant.wait_until_allowed(*nodes)
    resources = {f"res:copied-{number}" for number in range(20)}
    lines: list[str] = []

    def received() -> list[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                lines.append(server.recv(65536).decode())
        return [resource for resource in resources for line in lines if f'"{resource}"' in line]

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((nodes[0].node.private_address, SYSLOG_PORT))
        server.setblocking(False)
        for number, resource in enumerate(sorted(resources)):
            grant.decision(nodes[number % 2], resource)
        wait_until(lambda: len(received()) >= len(resources), "audit records at the syslog server")
        assert sorted(received()) == sorted(resources)
    pattern = r"<110>\S+ \S+ iam-audit\[\d+\]: map\[.*effect:allow .*timestamp:%!s\(int64=\d+\) username:audit-copy\]\n"
    copied = [line for line in lines if "res:copied-" in line]
    assert all(re.fullmatch(pattern, line) for line in copied), copied[0]


def test_each_node_logs_the_requests_that_it_received(nodes: tuple[RealNode, RealNode]) -> None:
    for node, count in zip(nodes, (3, 5), strict=True):
        for port in (API, AUTHZ):
            for number in range(count):
                assert http_status(node.url(port, f"/healthz?balance={number}")) == 200
    for node, count in zip(nodes, (3, 5), strict=True):
        for name in ("iam-apiserver", "iam-authz-server"):
            lines = [line for line in node.log_of(name).splitlines() if "GET /healthz?balance=" in line]
            assert len(lines) == count


def test_the_trigger_copies_a_deleted_users_policies_to_the_audit_table(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    grant = Grant(b, "to-delete")
    assert send(b, API, "DELETE", "/v1/users/to-delete", None, login(a))[0] == 200
    assert a.sql("SELECT name FROM policy_audit WHERE username = 'to-delete';", "iam").split() == ["p"]
    assert a.sql("SELECT COUNT(*) FROM secret WHERE username = 'to-delete';", "iam").split() == ["0"]
    assert grant


def test_the_next_refresh_invalidates_a_deleted_users_secret(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    grant = Grant(a, "deleted-secret")
    grant.wait_until_allowed(a, b)
    time.sleep(1.2)  # the reload after its creation may still be running
    assert send(a, API, "DELETE", "/v1/users/deleted-secret", None, login(a))[0] == 200
    assert grant.decision(b) == {"allowed": True}, "a deletion must not send a notice"
    a.refresh()
    wait_until(lambda: "allowed" not in grant.decision(b), "the deleted user's secret is refused")


def test_one_node_sends_the_notice_of_an_interval_for_all(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    with a.redis() as client, client.pubsub() as listener:
        listener.subscribe("iam.cluster.notifications")
        listener.get_message(timeout=2)  # of the subscription
        a.refresh()
        b.refresh_again()
        a.refresh_again()
        seen = [message for _ in range(3) if (message := listener.get_message(timeout=0.5))]
    assert len(seen) == 1


def test_the_next_refresh_applies_a_change_that_was_made_during_a_redis_outage(
    nodes: tuple[RealNode, RealNode],
) -> None:
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
    # The real apiserver checks the Redis connection once a second, and sends no notice before a successful check.
    time.sleep(2)


def test_the_services_recover_after_a_mariadb_outage(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    grant = Grant(a, "mariadb-away")
    grant.wait_until_allowed(a, b)
    bearer = login(b)
    a.processes["mariadb"].stop()
    try:
        assert send(b, API, "POST", "/login", {"username": "admin", "password": ADMIN_PASSWORD})[0] == 401
        assert send(b, API, "GET", "/v1/secrets", None, bearer)[0] == 500
        assert http_status(b.url(API, "/healthz")) == 200
        assert grant.decision(b) == {"allowed": True}
    finally:
        a.start_mariadb()
    for node in nodes:
        wait_until(lambda node=node: send(node, API, "GET", "/v1/secrets", None, bearer)[0] == 200, "the API again")


def test_an_apiserver_without_its_database_exits_with_an_error_for_systemd_to_restart_it(
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


def test_an_authz_server_waits_for_its_apiserver_before_it_serves(nodes: tuple[RealNode, RealNode]) -> None:
    _, b = nodes
    for name in ("iam-authz-server", "iam-apiserver"):
        b.processes[name].stop()
    b.start("iam-authz-server")
    time.sleep(2)
    assert http_status(b.url(AUTHZ, "/healthz")) == 0
    b.processes["iam-authz-server"].stop()  # it handles SIGTERM while it waits
    b.start("iam-authz-server")
    b.start("iam-apiserver")
    b.wait_until_healthy("iam-apiserver", "iam-authz-server")


def test_the_pump_of_the_other_node_takes_over_from_a_killed_one(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    grant = Grant(a, "pump-killed")
    grant.wait_until_allowed(a, b)
    a.processes["iam-pump"].kill()
    try:
        grant.decision(a, "res:after-kill")
        files = b.directory / "var/lib/iam/audit"
        wait_until(
            lambda: any("res:after-kill" in path.read_text() for path in files.glob("*.csv")),
            "the record in a file of the other pump",
        )
    finally:
        a.start("iam-pump")
        a.wait_until_healthy("iam-pump")


def test_the_second_refresh_deletes_the_stale_lock_of_a_dead_pump(nodes: tuple[RealNode, RealNode]) -> None:
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


def test_https_uses_the_certificate_of_the_node(nodes: tuple[RealNode, RealNode]) -> None:
    for node in nodes:
        context = ssl.create_default_context(cafile=str(node.directory / "etc/iam/ca.crt"))
        for port in (8443, 9443):
            url = f"https://{node.node.private_address}:{port}/healthz"
            with urllib.request.urlopen(url, timeout=5, context=context) as answer:
                assert answer.status == 200


def test_the_services_listen_only_on_the_addresses_of_their_nodes(nodes: tuple[RealNode, RealNode]) -> None:
    ours = {process.child.pid for node in nodes for process in node.processes.values() if process.child}
    result = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    addresses = {
        line.split()[3].rpartition(":")[0] for line in result.splitlines() if any(f"pid={pid}," in line for pid in ours)
    }
    assert addresses == {node.node.private_address for node in nodes}
