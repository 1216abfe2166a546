"""The audit records in Redis and their csv files, logins to the databases, and the spread over the nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_databases import PASSWORD, SCRAMBLE, FakeRedis, greeting, packet, serving
from fake_mongodb import URL, FakeMongodb

from provisioning.agent.calls import answer
from provisioning.agent.kinds import audit_queue
from provisioning.agent.mariadb_login import log_in
from provisioning.agent.node import Node, Result
from provisioning.agent.redis_client import Redis, RedisError
from provisioning.errors import UnreachableError
from provisioning.health.group_checks import check_audit, check_spread
from provisioning.health.public_checks import Service
from provisioning.health.results import Level
from provisioning.inventory import Inventory, RemoteNode
from provisioning.kinds.audit_queue import AuditQueue
from provisioning.kinds.file import File
from provisioning.ssh.agent_calls import Upload
from provisioning.upstreams import UPSTREAMS_FILE

SINK = "/var/lib/iam/audit"


@pytest.fixture
def redis() -> FakeRedis:
    return FakeRedis()


@pytest.fixture
def port(redis: FakeRedis) -> Iterator[int]:
    with serving(redis.handle) as port:
        yield port


def _print(text: str, _argv: list[str], **_options: object) -> Result:
    return Result(0, text, "")


class FakeConnection:
    """Calls the real agent on a node below a temporary directory."""

    def __init__(self, node: RemoteNode, root: Path, log: str = "") -> None:
        self.node = node
        self.reachable = True
        self.agent = Node(root=str(root), runner=partial(_print, log), sync=lambda _handle: None)

    def call(
        self,
        operations: Sequence[dict[str, Any]],
        *,
        token: str = "",
        upload: Upload | None = None,
        deadline_s: float = 0,
        report: Callable[[str], None] = lambda _line: None,
    ) -> list[Any]:
        del upload, deadline_s, report
        if not self.reachable:
            raise UnreachableError(f"{self.node.name}: no response")
        return answer(self.agent, {"token": token, "operations": list(operations)})["results"]

    def close(self) -> None:
        pass


def remote(name: str, number: int) -> RemoteNode:
    address = f"10.0.4.2{number}"
    return RemoteNode(name, f"ins-{name}", address, address, "debian", (), eligible=True)


def group(tmp_path: Path, log: str = "") -> list[FakeConnection]:
    return [FakeConnection(remote(name, n), tmp_path / name, log) for n, name in enumerate(("iam-a", "iam-b"))]


# ---- the audit records -----------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def follow(
    connections: list[FakeConnection], port: int, *, interval_s: int = 10, mongodb: str = ""
) -> tuple[Level, str]:
    clock = Clock()
    queue = AuditQueue("127.0.0.1", port, PASSWORD, interval_s, SINK, mongodb, "audit" if mongodb else "")
    result = check_audit(connections, queue, "nonce-1", clock=clock, sleep=clock.sleep)
    return result.level, result.seen


def write_record(tmp_path: Path, node: str, text: str) -> None:
    folder = tmp_path / node / SINK.lstrip("/")
    folder.mkdir(parents=True)
    (folder / "2026-November-1-10.csv").write_text(f"TimeStamp,Request\n1,{text}\n")


def test_the_record_may_be_moved_by_the_pump_of_any_node(tmp_path: Path, port: int) -> None:
    write_record(tmp_path, "iam-b", '{"resource":"tandem:health:nonce-1"}')
    (tmp_path / "iam-b" / SINK.lstrip("/") / "expired.csv").symlink_to("gone")  # listed, but deleted meanwhile
    level, seen = follow(group(tmp_path), port)
    assert level is Level.OK
    assert "iam-pump on iam-b" in seen


def test_a_record_that_never_arrives_fails_with_the_length_of_the_queue(
    tmp_path: Path, redis: FakeRedis, port: int
) -> None:
    write_record(tmp_path, "iam-b", "tandem:health:another")
    redis.queued = 7
    assert follow(group(tmp_path), port) == (
        Level.FAIL, "a decision was not recorded within 26 s; 7 records are in the queue",
    )  # fmt: skip


def test_a_stale_lock_of_a_stopped_pump_is_named(tmp_path: Path, redis: FakeRedis, port: int) -> None:
    redis.lock_ms, redis.queued = 500_000, 3
    level, seen = follow(group(tmp_path), port)
    assert level is Level.FAIL
    assert "the lock iam-pump in Redis has been held for 100 s by a pump that was stopped; 3 records wait" in seen


def test_a_record_in_mongodb_is_recorded_wherever_it_was_moved(tmp_path: Path, port: int) -> None:
    mongodb = FakeMongodb()
    mongodb.add('{"resource":"tandem:health:nonce-1"}')
    with serving(mongodb.handle) as mongodb_port:
        result = follow(group(tmp_path), port, mongodb=URL.format(port=mongodb_port))
    assert result == (Level.OK, "a decision was recorded in MongoDB within 0 s")


def test_a_record_that_mongodb_did_not_accept_fails_though_the_queue_is_empty(
    tmp_path: Path, redis: FakeRedis, port: int
) -> None:
    """iam-pump takes the records out of Redis before it writes them, and does not repeat a write that failed."""
    write_record(tmp_path, "iam-b", "tandem:health:nonce-1")
    assert redis.queued == 0
    mongodb = FakeMongodb()
    mongodb.refuses = "not authorized on audit"
    with serving(mongodb.handle) as mongodb_port:
        result = follow(group(tmp_path), port, mongodb=URL.format(port=mongodb_port))
    assert result == (
        Level.FAIL,
        "a decision was not recorded in MongoDB within 26 s, only in the csv file of iam-b; not authorized on audit",
    )


def test_records_of_pumps_that_cannot_log_in_to_mongodb_wait_in_the_queue(
    tmp_path: Path, redis: FakeRedis, port: int
) -> None:
    redis.queued = 7
    with serving(FakeMongodb().handle) as mongodb_port:
        level, seen = follow(group(tmp_path), port, mongodb=URL.format(port=mongodb_port).replace("ss%2F", "x"))
    assert level is Level.FAIL
    assert seen == "a decision was not recorded within 26 s; 7 records are in the queue; Authentication failed."


def test_a_long_interval_is_not_waited_for(tmp_path: Path, port: int) -> None:
    level, seen = follow(group(tmp_path), port, interval_s=3600)
    assert level is Level.OK
    assert "every 3600 s, not waited for" in seen


def test_an_unreachable_redis_is_named(tmp_path: Path) -> None:
    level, seen = follow(group(tmp_path), 1)
    assert level is Level.FAIL
    assert "Redis cannot be checked: ConnectionRefusedError" in seen


def test_an_unreachable_node_does_not_hide_the_record_of_another(tmp_path: Path, port: int) -> None:
    write_record(tmp_path, "iam-b", "tandem:health:nonce-1")
    connections = group(tmp_path)
    connections[0].reachable = False
    assert follow(connections, port)[0] is Level.OK


def test_a_rollout_deletes_a_stale_lock_and_keeps_a_fresh_one(tmp_path: Path, redis: FakeRedis, port: int) -> None:
    connection = group(tmp_path)[0]
    item = AuditQueue("127.0.0.1", port, PASSWORD, 10, SINK)

    def difference() -> str | None:
        question = {"do": "facts", "questions": {"audit_queue": [item.question()]}, "virtual_ips": []}
        return item.compare(connection.call([question])[0]["answers"]["audit_queue"])

    redis.lock_ms = 599_000
    assert difference() is None
    redis.lock_ms = 400_000
    assert difference() == "held for 200 s by a pump that was stopped"
    assert audit_queue.commit(connection.agent, item.operation()) == ["deleted the stale lock of a stopped iam-pump"]
    assert redis.deleted == ["iam-pump"]
    assert difference() is None


def test_a_wrong_password_of_redis_is_an_error(port: int) -> None:
    with pytest.raises(RedisError, match="WRONGPASS"):
        Redis("127.0.0.1", port, "wrong")


# ---- MariaDB ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "seen"),
    [
        pytest.param(greeting(), packet(2, b"\x00\x00\x00\x02\x00"), "", id="accepted"),
        pytest.param(greeting(), packet(2, b"\xfecaching_sha2_password\0"), "", id="another method (MySQL 8)"),
        pytest.param(
            greeting(), packet(2, b"\xff\x15\x04#28000Access denied for user 'iam'"),
            "Access denied for user 'iam'", id="wrong password",
        ),
        pytest.param(
            packet(0, b"\xff\x6a\x04Host '10.0.4.22' is not allowed"), b"", "Host '10.0.4.22' is not allowed",
            id="host without an account",
        ),
        pytest.param(b"", b"", "ConnectionError: the connection was closed", id="closed at once"),
    ],
)  # fmt: skip
def test_a_login_to_mariadb_is_accepted_or_explained(first: bytes, second: bytes, seen: str) -> None:
    received: list[bytes] = []

    def handle(connection: Any) -> None:
        connection.wfile.write(first)
        if second:
            header = connection.rfile.read(4)
            received.append(connection.rfile.read(int.from_bytes(header[:3], "little")))
            connection.wfile.write(second)

    with serving(handle) as port:
        assert log_in("127.0.0.1", port, "iam", "secret") == seen
    for response in received:
        user, _, rest = response[32:].partition(b"\0")  # after capabilities, size, character set and reserved bytes
        proof = rest[1:21]
        # As the server verifies it: the stored hash is SHA1(SHA1(password)).
        stored = hashlib.sha1(hashlib.sha1(b"secret").digest()).digest()  # noqa: S324 - the protocol's algorithm
        mask = hashlib.sha1(SCRAMBLE + stored).digest()  # noqa: S324 - the protocol's algorithm
        once = bytes(left ^ right for left, right in zip(proof, mask, strict=True))
        assert (user, hashlib.sha1(once).digest()) == (b"iam", stored)  # noqa: S324 - the protocol's algorithm


# ---- the spread over the nodes ---------------------------------------------------------------------------------------


def line(nonce: str, upstream: str) -> str:
    request = f'"GET /healthz?tandem={nonce} HTTP/1.1"'
    return f"203.0.113.1 - - [x] {request} 200 15 host=h upstream={upstream} upstream_status=200 time=0.001\n"


def json_line(nonce: str, upstream: str) -> str:
    """One line of the default format (templates/nginx/nginx.conf.j2)."""
    return f'{{"uri":"/healthz?tandem={nonce}","status":200,"upstream":"{upstream}","upstream_status":"200"}}\n'


@pytest.mark.parametrize(
    ("log", "level", "counts"),
    [
        pytest.param(
            line("nonce-1", "10.0.4.20:8080") + line("nonce-1", "10.0.4.21:8080"),
            Level.OK,
            "iam-a 1, iam-b 1",
            id="both nodes",
        ),
        pytest.param(
            line("nonce-1", "10.0.4.20:8080") + line("other", "10.0.4.21:8080"),
            Level.WARNING,
            "iam-a 1, iam-b 0 of 1 requests",
            id="one node",
        ),
        pytest.param(
            line("nonce-1", "10.0.4.21:8080, 10.0.4.20:8080"),
            Level.WARNING,
            "iam-a 1, iam-b 0",
            id="a retry on another node",
        ),
        pytest.param(
            json_line("nonce-1", "10.0.4.20:8080") + json_line("nonce-1", "10.0.4.20:8080, 10.0.4.21:8080"),
            Level.OK,
            "iam-a 1, iam-b 1",
            id="the JSON format",
        ),
    ],
)
def test_the_spread_is_read_from_the_access_log_of_nginx(tmp_path: Path, log: str, level: Level, counts: str) -> None:
    connections = group(tmp_path, log)
    inventory = Inventory("g", tuple(each.node for each in connections), ("10.0.4.99",), "")
    (result,) = check_spread(inventory, {}, connections[:1], Service("api", "iam.api.example.com"), "nonce-1")
    assert result.level is level
    assert counts in result.seen


def test_requests_of_one_client_stay_on_one_node_with_ip_hash(tmp_path: Path) -> None:
    connections = group(tmp_path)
    inventory = Inventory("g", tuple(each.node for each in connections), (), "")
    items = {"iam-a": (File(UPSTREAMS_FILE, "upstream x {\n    ip_hash;\n}\n"),)}
    assert check_spread(inventory, items, connections, Service("api", "d"), "n") == []
