"""The audit records on their way from iam-authz-server through Redis and iam-pump to the csv files and MongoDB."""

from __future__ import annotations

import contextlib
import os
import struct
import time
from pathlib import Path
from typing import Any

from ..bson import ObjectId
from ..mongodb_client import Mongodb, MongodbError
from ..node import Node
from ..redis_client import Redis, RedisError

_QUEUE = "analytics-iam-system-analytics"
_LOCK = "iam-pump"
_LOCK_LIFETIME_S = 600.0  # of marmotedu/iam 16c723d and of the stand-in
_STALE_S = 30.0  # a round takes less than a second
_RECENT_FILES = 2  # the csv files are named by hour
_TAIL = 4 * 1024 * 1024  # bytes at the end of a file
_RECENT_S = 600  # age of the records that are searched in MongoDB


def facts(node: Node, questions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The age of a stale lock by Redis address; nothing if Redis does not respond."""
    del node
    found: dict[str, dict[str, Any]] = {}
    for each in questions:
        with contextlib.suppress(RedisError):
            found[f"{each['host']}:{each['port']}"] = {"stale_s": _stale_s(each)}
    return found


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    connection = Redis(item["host"], item["port"], item["password"])
    try:
        node.before("delete the lock " + _LOCK)
        # Records cannot be moved twice: a pump takes them out of Redis in one transaction.
        connection.call("DEL", _LOCK)
    finally:
        connection.close()
    return ["deleted the stale lock of a stopped iam-pump"]


def audit(node: Node, *, queue: dict[str, Any], nonce: str) -> dict[str, Any]:
    """Whether the record with this nonce is in a csv file of this node and in MongoDB, and the state of the queue."""
    try:
        connection = Redis(queue["host"], queue["port"], queue["password"])
        try:
            queued, stale_s, error = int(connection.call("LLEN", _QUEUE)), _stale_s(queue), ""
        finally:
            connection.close()
    except RedisError as failed:
        queued, stale_s, error = -1, 0.0, str(failed)
    in_mongodb, refused = _in_mongodb(queue, nonce) if queue["mongodb"] else (False, "")
    in_csv = _in_sink(node, queue["sink"], nonce)
    seen = {"in_csv": in_csv, "in_mongodb": in_mongodb, "mongodb_error": refused}
    return {**seen, "queued": queued, "stale_s": stale_s, "error": error}


def _stale_s(queue: dict[str, Any]) -> float:
    """How long the lock has been held; 0 if it is not stale."""
    connection = Redis(queue["host"], queue["port"], queue["password"])
    try:
        remaining_ms = int(connection.call("PTTL", _LOCK))
    finally:
        connection.close()
    held_s = _LOCK_LIFETIME_S - remaining_ms / 1000 if remaining_ms >= 0 else 0.0
    return held_s if held_s >= _STALE_S else 0.0


def _in_sink(node: Node, directory: str, nonce: str) -> bool:
    if not directory or not node.at(directory).is_dir():
        return False
    files = sorted(node.at(directory).glob("*.csv"), key=_modified)
    for file in files[-_RECENT_FILES:]:
        with contextlib.suppress(FileNotFoundError), file.open("rb") as opened:
            opened.seek(max(0, opened.seek(0, os.SEEK_END) - _TAIL))
            if nonce.encode() in opened.read():
                return True
    return False


def _in_mongodb(queue: dict[str, Any], nonce: str) -> tuple[bool, str]:
    """Whether the record is there, and what MongoDB answered if not. The pump's driver works with old versions only."""
    # An ObjectId starts with its time, so that the index of `_id` limits the search to recent records.
    recent = ObjectId(struct.pack(">I", int(time.time()) - _RECENT_S) + bytes(8))
    matching = {"_id": {"$gte": recent}, "request": {"$regex": nonce}}
    search = {"find": queue["collection"], "filter": matching, "projection": {"_id": 1}, "limit": 1}
    try:
        connection = Mongodb(queue["mongodb"])
        try:
            if connection.call(search).get("cursor", {}).get("firstBatch"):
                return True, ""
            return False, f"MongoDB {connection.call({'buildInfo': 1}).get('version')} answers without it"
        finally:
            connection.close()
    except MongodbError as failed:
        return False, str(failed)


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # expired meanwhile (templates/iam/tmpfiles.conf.j2)
        return 0.0
