"""The audit records in MongoDB, and the login to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_databases import PASSWORD, FakeRedis, serving
from fake_mongodb import URL, FakeMongodb

from provisioning.agent.bson import ObjectId, decode, encode
from provisioning.agent.kinds import audit_queue, endpoint
from provisioning.agent.mongodb_client import Mongodb, MongodbError
from provisioning.agent.node import Node
from provisioning.kinds.audit_queue import AuditQueue
from provisioning.kinds.endpoint import Endpoint


@pytest.fixture
def mongodb() -> FakeMongodb:
    return FakeMongodb()


@pytest.fixture
def url(mongodb: FakeMongodb) -> Iterator[str]:
    with serving(mongodb.handle) as port:
        yield URL.format(port=port)


def test_bson_is_encoded_and_decoded_as_specified() -> None:
    """The examples of bsonspec.org, and the types that replies contain."""
    assert encode({"hello": "world"}) == b"\x16\0\0\0\x02hello\0\x06\0\0\0world\0\0"
    array = b"1\0\0\0\x04BSON\0&\0\0\0\x020\0\x08\0\0\0awesome\0\x011\x00333333\x14@\x102\0\xc2\x07\0\0\0\0"
    assert decode(array) == {"BSON": ["awesome", 5.05, 1986]}
    values = {"n": 1, "b": b"\0\1", "i": ObjectId(b"123456789012"), "d": {"t": "é"}}
    assert decode(encode(values)) == values
    date_null_true_long = b"\x09d\0" + bytes(8) + b"\x0an\0" + b"\x08t\0\1" + b"\x12l\0\2" + bytes(7)
    size = (len(date_null_true_long) + 5).to_bytes(4, "little")
    assert decode(size + date_null_true_long + b"\0") == {"d": None, "n": None, "t": True, "l": 2}


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        pytest.param("", "", "", id="accepted"),
        pytest.param("p%40ss", "pass", "Authentication failed.", id="wrong password"),
        pytest.param("authSource=admin", "authSource=iam", "command requires authentication", id="another database"),
    ],
)
def test_a_login_to_mongodb_is_accepted_or_explained(url: str, old: str, new: str, seen: str) -> None:
    item = Endpoint("mongodb", "10.0.4.20", 27017, look_at="docs/iam.md", url=url.replace(old, new) if old else url)
    (result,) = endpoint.check(Node(), item.operation())
    assert (result["seen"].removeprefix("10.0.4.20:27017: "), result["level"]) == (
        (seen, "fail") if seen else ("mongodb", "ok")
    )


def test_a_mongodb_that_accepts_connections_and_does_not_answer_is_named() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(MongodbError, match=r"timed out"),
    ):
        Mongodb(URL.format(port=silent.getsockname()[1]), timeout_s=0.05)


def _audit(root: Path, url: str) -> dict[str, Any]:
    with serving(FakeRedis().handle) as port:
        queue = AuditQueue("127.0.0.1", port, PASSWORD, 10, "/var/lib/iam/audit", url, "audit")
        return audit_queue.audit(Node(root=str(root)), queue=queue.operation(), nonce="nonce-1")


def test_a_recent_record_is_found_in_mongodb(tmp_path: Path, mongodb: FakeMongodb, url: str) -> None:
    mongodb.add('{"resource":"tandem:health:nonce-1"}', age_s=3600)
    mongodb.add('{"resource":"tandem:health:another"}')
    answer = {"in_csv": False, "queued": 0, "stale_s": 0.0, "error": ""}
    without = {"in_mongodb": False, "mongodb_error": "MongoDB 7.0.42 answers without it"}
    assert _audit(tmp_path, url) == {**answer, **without}
    mongodb.add('{"resource":"tandem:health:nonce-1"}')
    assert _audit(tmp_path, url) == {**answer, "in_mongodb": True, "mongodb_error": ""}


def test_the_reason_of_a_refused_search_is_returned(tmp_path: Path, mongodb: FakeMongodb, url: str) -> None:
    mongodb.refuses = "not authorized on iam_analytics to execute command"
    assert _audit(tmp_path, url)["mongodb_error"] == "not authorized on iam_analytics to execute command"
