"""The queue of audit records in a backup, with a real Redis to which the authorization servers write meanwhile."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from iam_real_servers import wait_until

from provisioning.programs.database_backup import audit_queue
from provisioning.programs.database_backup.audit_queue import QUEUE


@pytest.fixture
def server(tmp_path: Path) -> Iterator[redis.Redis]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port)

    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    try:
        wait_until(answers, "redis-server")
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(30)


def settings(server: redis.Redis) -> dict[str, Any]:
    port = server.connection_pool.connection_kwargs["port"]
    return {"redis_host": "127.0.0.1", "redis_port": port, "redis_env": os.devnull}


def test_restored_records_come_before_those_that_are_queued_now(server: redis.Redis, tmp_path: Path) -> None:
    file, given = tmp_path / "x.queue", settings(server)
    server.rpush(QUEUE, b"1\n", b"2\x00")
    assert audit_queue.back_up(given, file) == ""
    server.delete(QUEUE)
    server.rpush(QUEUE, b"3")
    for _ in range(2):  # an interrupted restore may have left the list beside the queue
        audit_queue.stage(given, file)
    audit_queue.merge(given)
    assert server.lrange(QUEUE, 0, -1) == [b"1\n", b"2\x00", b"3"]
    assert server.keys() == [QUEUE.encode()]


def test_an_empty_queue_leaves_no_file(server: redis.Redis, tmp_path: Path) -> None:
    assert audit_queue.back_up(settings(server), tmp_path / "x.queue") == ""
    assert list(tmp_path.glob("*.queue")) == []
