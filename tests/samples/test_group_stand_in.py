"""Guarantees of the stand-in beyond those of the real servers: accepted requests and records are not lost."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from iam_calls import Grant, login, send
from iam_real_servers import ADMIN_PASSWORD, API, RealNode, group, http_status, wait_until

from samples.iam.stand_in.stores import AUDIT_LIST

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealNode, RealNode]]:
    with group(tmp_path_factory.mktemp("group")) as both:
        for node in both:
            node.start()
        for node in both:
            node.wait_until_healthy()
        yield both


def test_a_stop_under_load_completes_all_accepted_requests(nodes: tuple[RealNode, RealNode]) -> None:
    _, b = nodes
    results: list[int] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            results.append(http_status(b.url(API, "/healthz"), timeout_s=10))

    def log_in() -> str:
        """Return the status or the connection error."""
        try:
            return str(send(b, API, "POST", "/login", {"username": "admin", "password": ADMIN_PASSWORD})[0])
        except OSError as error:
            return str(error)

    # nginx tries another upstream server after a refused connection, but may not repeat an accepted request.
    with ThreadPoolExecutor() as pool:
        try:
            for _ in range(4):
                pool.submit(load)
            wait_until(lambda: len(results) > 20, "some load")
            logins = [pool.submit(log_in) for _ in range(8)]
            wait_until(lambda: any(login.done() for login in logins), "the first login")
            code = b.processes["iam-apiserver"].stop()
        finally:
            stop.set()
        outcomes = [login.result() for login in logins]
    b.start("iam-apiserver")
    b.wait_until_healthy("iam-apiserver")
    assert code == 0
    accepted = [outcome for outcome in outcomes if "refused" not in outcome]
    assert accepted
    assert set(accepted) == {"200"}, outcomes


def test_a_stop_directly_after_decisions_loses_no_audit_record(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    grant = Grant(a, "audit-stop")
    grant.wait_until_allowed(a, b)
    for node in nodes:
        node.processes["iam-pump"].stop()
    with a.redis() as client:
        client.delete(AUDIT_LIST)
        for number in range(100):
            grant.decision(b, f"stop:{number}")
        assert b.processes["iam-authz-server"].stop() == 0
        # Those of the wait above may arrive late.
        records = cast("list[bytes]", client.lrange(AUDIT_LIST, 0, -1))
        count = sum(b"stop:" in record for record in records)
        client.delete(AUDIT_LIST)
    b.start("iam-authz-server")
    for node in nodes:
        node.start("iam-pump")
        node.wait_until_healthy()
    assert count == 100


def test_a_login_fails_within_15_seconds_when_mariadb_hangs(nodes: tuple[RealNode, RealNode]) -> None:
    a, b = nodes
    a.processes["mariadb"].signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert send(b, API, "POST", "/login", {"username": "admin", "password": ADMIN_PASSWORD})[0] == 401
        assert time.monotonic() - began < 15
    finally:
        a.processes["mariadb"].signal(signal.SIGCONT)
    wait_until(lambda: login(b), "login after the hang")
