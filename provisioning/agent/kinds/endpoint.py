"""Databases that must be reachable from the node."""

from __future__ import annotations

from typing import Any

from ..mariadb_login import log_in
from ..mongodb_client import Mongodb, MongodbError
from ..node import Node
from ..redis_client import Redis, RedisError
from ..results import fail, ok


def check(node: Node, item: dict[str, Any]) -> list[dict[str, Any]]:
    del node
    protocol, host, port = item["protocol"], item["host"], item["port"]
    seen = {"redis": _redis, "mariadb": _mariadb, "mongodb": _mongodb}[protocol](item)
    if not seen:
        return [ok("databases", protocol)]
    return [fail(f"database {protocol}", f"{host}:{port}: {seen}", item["look_at"])]


def _mariadb(item: dict[str, Any]) -> str:
    return log_in(item["host"], item["port"], item["user"], item["password"])


def _redis(item: dict[str, Any]) -> str:
    try:
        connection = Redis(item["host"], item["port"], item["password"])
        try:
            connection.call("PING")
        finally:
            connection.close()
    except RedisError as failed:
        return str(failed)
    return ""


def _mongodb(item: dict[str, Any]) -> str:
    try:
        Mongodb(item["url"]).close()
    except MongodbError as failed:
        return str(failed)
    return ""
