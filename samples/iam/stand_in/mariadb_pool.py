"""A pool of connections to MariaDB: opened on demand, reused for a while, closed when they fail.

Written here because the stand-in runs on Debian's packages only, and Debian 12 has none of dbutils or another pool.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT, ER
from pymysql.cursors import DictCursor

from .stores import DuplicateNameError, StoreError

_TIMEOUT_S = 3  # the real server has no timeout, and hangs if the database hangs
_LIFE_S = 10  # as in the real server's pool


class Pool:
    """At most `size` connections; further callers wait for a free one."""

    def __init__(self, *, host: str, port: int, user: str, password: str, database: str, size: int) -> None:
        self._arguments: dict[str, Any] = {
            "host": host, "port": port, "user": user, "password": password, "database": database,
        }  # fmt: skip
        self._idle: queue.LifoQueue[tuple[Connection[DictCursor], float]] = queue.LifoQueue()
        self._slots = queue.Queue[None]()
        for _ in range(size):
            self._slots.put(None)

    def close(self) -> None:
        """Close idle connections."""
        while True:
            try:
                self._idle.get_nowait()[0].close()
            except queue.Empty:
                return

    @contextmanager
    def transaction(self) -> Generator[DictCursor]:
        """Run one transaction. Raises StoreError; a failed connection is closed."""
        try:
            self._slots.get(timeout=_TIMEOUT_S)
        except queue.Empty as error:
            raise StoreError(f"no connection became free within {_TIMEOUT_S} s") from error
        try:
            connection, born = self._take()
            try:
                with connection.cursor() as cursor:
                    yield cursor
                connection.commit()
            except BaseException:
                connection.close()
                raise
            self._idle.put((connection, born))
        except pymysql.IntegrityError as error:
            if error.args[0] == ER.DUP_ENTRY and "idx_name" in str(error.args[1]):
                raise DuplicateNameError(str(error)) from error
            raise StoreError(str(error)) from error
        except (pymysql.Error, OSError) as error:
            raise StoreError(str(error)) from error
        finally:
            self._slots.put(None)

    def _take(self) -> tuple[Connection[DictCursor], float]:
        now = time.monotonic()
        while True:
            try:
                connection, born = self._idle.get_nowait()
            except queue.Empty:
                return self._connect(), now
            if now - born < _LIFE_S and _is_alive(connection):
                return connection, born
            connection.close()

    def _connect(self) -> Connection[DictCursor]:
        return pymysql.connect(
            **self._arguments,
            charset="utf8mb4",
            init_command="SET time_zone = '+00:00'",
            connect_timeout=_TIMEOUT_S,
            read_timeout=_TIMEOUT_S,
            write_timeout=_TIMEOUT_S,
            client_flag=CLIENT.FOUND_ROWS,
            cursorclass=DictCursor,
        )


def _is_alive(connection: Connection[DictCursor]) -> bool:
    # After a restart of MariaDB all idle connections are dead; do not let the next requests fail for that.
    try:
        connection.ping(reconnect=False)
    except (pymysql.Error, OSError):
        return False
    return True
