"""iam-pump: moves audit records from the Redis list to its sinks. Only one pump of the group runs at a time."""

from __future__ import annotations

import contextlib
import csv
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from .audit import FIELDS, PackError, Record
from .codes import IamError
from .config import Config, ConfigError, load
from .journal import Journal
from .messages import Request, Response, Router
from .process import Stop
from .stores import AUDIT_LIST, PUMP_LOCK, PUMP_LOCK_S, Messages, MessagesError
from .web import Listener

NAME = "iam-pump"
_DRAIN_S = 2


class SinkError(IamError):
    """A sink cannot be used. No record is taken from Redis."""


class Sink(Protocol):
    def write(self, records: Sequence[Record]) -> None:
        """Raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class CsvSink:
    """One file for each local hour, for example `2026-November-20-22.csv`. The pump does not delete files."""

    directory: Path
    detailed: bool
    now: Callable[[], datetime] = datetime.now

    def write(self, records: Sequence[Record]) -> None:
        moment = self.now()
        path = self.directory / f"{moment.year}-{moment:%B}-{moment.day}-{moment.hour}.csv"
        new = not path.exists()
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(FIELDS)
            writer.writerows(record.to_row(detailed=self.detailed) for record in records)
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class DummySink:
    """Discards all records."""

    def write(self, records: Sequence[Record]) -> None:
        del records


@dataclass(frozen=True, slots=True)
class SyslogSink:
    """Sends each record in a datagram, as Go's log/syslog does. A server that is away is not noticed."""

    host: str
    port: int
    priority: int
    tag: str

    def write(self, records: Sequence[Record]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for record in records:
                at = datetime.now().astimezone().isoformat(timespec="seconds")
                head = f"<{self.priority}>{at} {socket.gethostname()} {self.tag}[{os.getpid()}]: "
                with contextlib.suppress(ConnectionRefusedError):
                    sender.sendto(f"{head}{record.to_map()}\n".encode(), (self.host, self.port))


def make_sinks(pumps: Mapping[str, Mapping[str, Any]], *, detailed: bool) -> list[Sink]:
    """Raises SinkError at start.

    The real pump fails only after it has taken a batch from Redis, and loses the batch.
    """
    sinks: list[Sink] = []
    for name, pump in pumps.items():
        kind, meta = pump.get("type") or name, pump.get("meta") or {}
        if kind == "csv":
            directory = Path(meta.get("csv_dir") or "./analytics-data")
            try:
                directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SinkError(f"{NAME}: pumps.{name}.meta.csv_dir {directory} cannot be created: {error}") from error
            sinks.append(CsvSink(directory, detailed and not pump.get("omit-detailed-recording")))
        elif kind == "dummy":
            sinks.append(DummySink())
        elif kind == "syslog":
            host, _, port = str(meta["network_addr"]).rpartition(":")
            sinks.append(SyslogSink(host, int(port), int(meta["log_level"]), str(meta["tag"])))
        else:
            raise SinkError(f"{NAME}: pumps.{name} is of type {kind}; the stand-in supports csv, syslog and dummy")
    return sinks


@dataclass(frozen=True, slots=True)
class Pump:
    messages: Messages
    sinks: Sequence[Sink]
    journal: Journal

    def move(self) -> int:
        """Run one round: take the lock and move the list to every sink. Returns the number of records."""
        owner = str(uuid.uuid4())
        try:
            if not self.messages.acquire(PUMP_LOCK, owner, PUMP_LOCK_S):
                self.journal.info("another iam-pump is running")
                return 0
            try:
                return self._write(self.messages.read_all(AUDIT_LIST))
            finally:
                self.messages.release(PUMP_LOCK, owner)
        except MessagesError as error:
            self.journal.error("cannot reach redis", error=str(error))
            return 0

    def _write(self, batch: Sequence[bytes]) -> int:
        if not batch:
            return 0
        records = [record for data in batch if (record := self._unpack(data))]
        try:
            for sink in self.sinks:
                sink.write(records)
        except OSError as error:
            self.journal.error("cannot write audit records; they stay in redis", records=len(batch), error=str(error))
            return 0
        # Last, so that neither a full disk nor a late response of Redis loses records (the real pump loses the batch).
        self.messages.drop(AUDIT_LIST, len(batch))
        self.journal.info("moved audit records", records=len(records))
        return len(records)

    def _unpack(self, data: bytes) -> Record | None:
        try:
            return Record.unpack(data)
        except PackError as error:
            self.journal.error("skipped an unreadable audit record", error=str(error))
            return None


def health_routes(path: str) -> Callable[[Request], Response]:
    """The only page of the pump. It supports HEAD, as in the real pump."""
    found = Response(200, '{"status": "ok"}', "application/json")
    lost = Response(404, "404 page not found\n", "text/plain; charset=utf-8")
    router = Router(otherwise=lambda _: lost)
    for method in ("GET", "HEAD"):
        router.add(method, f"/{path.lstrip('/')}", lambda _: found)
    return router


def main(arguments: Sequence[str]) -> int:
    from .redis_messages import RedisMessages  # noqa: PLC0415 - see apiserver.main

    stop = Stop()
    try:
        config = load(NAME, arguments, os.environ)
        journal = Journal.open(NAME, config.words("log.output-paths"))
        sinks = make_sinks(config.pumps, detailed=not config.flag("omit-detailed-recording"))
        listener = Listener(_address(config), health_routes(config.text("health-check-path")), journal)
    except (IamError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    listener.start()
    pump = Pump(RedisMessages.connect(config), sinks, journal)
    journal.info(f"{NAME} serves", ports=[listener.port])
    began = time.monotonic()
    while not stop.wait(max(0.0, config.number("purge-delay") - (time.monotonic() - began))):
        began = time.monotonic()
        pump.move()
    listener.drain(_DRAIN_S)
    journal.info(f"{NAME} stopped")
    return 0


def _address(config: Config) -> tuple[str, int]:
    host, _, port = config.text("health-check-address").rpartition(":")
    if not port.isdecimal():
        raise ConfigError(
            f"{NAME}: health-check-address is {config.text('health-check-address')!r}; must be ADDRESS:PORT"
        )
    return host, int(port)
