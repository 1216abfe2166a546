"""`tandem logs`: the log lines of the nodes, in the order of their time."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provisioning.errors import UnreachableError
from provisioning.inventory import RemoteNode
from provisioning.parallel import in_parallel
from provisioning.ssh.agent_calls import Connection
from provisioning.ssh.connections import Connect

POLL_S = 1.0
_SHORTEST_SECRET = 6  # a shorter value would hide ordinary words


@dataclass(frozen=True, slots=True)
class Line:
    at: float  # seconds since 1970
    node: str
    unit: str
    text: str

    def __str__(self) -> str:
        when = dt.datetime.fromtimestamp(self.at, dt.UTC)
        return f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d} {self.node} {self.unit}: {self.text}"


@dataclass
class LogReader:
    """Reads the logs of several nodes, and then what is new. A node that cannot be reached is reported once."""

    nodes: Sequence[RemoteNode]
    connect: Connect
    units: Sequence[str]
    secrets: Sequence[str]
    report: Callable[[str], None]
    _connections: dict[str, Connection] = field(default_factory=dict[str, Connection], init=False)
    _positions: dict[str, Any] = field(default_factory=dict[str, Any], init=False)
    _failed: set[str] = field(default_factory=set[str], init=False)

    def read(self, since: str, lines: int) -> list[Line]:
        """At most `lines` lines of each node since a time of journalctl; in later calls, what was written since.

        Raises NodeError, for example because of a wrong time.
        """
        found = in_parallel(self.nodes, lambda node: self._read_one(node, since, lines))
        # The sort is stable, so a traceback, whose lines may have the same time, stays whole.
        return sorted((line for each in found for line in each), key=lambda line: line.at)

    def follow(self, since: str, lines: int, sleep: Callable[[float], None] = time.sleep) -> Iterator[Line]:
        """Yield the lines of `read`, then new ones until the caller stops. Raises NodeError."""
        while True:
            yield from self.read(since, lines)
            sleep(POLL_S)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def _read_one(self, node: RemoteNode, since: str, lines: int) -> list[Line]:
        operation = {"do": "logs", "units": list(self.units), "since": since, "lines": lines}
        try:
            if node.name not in self._connections:
                self._connections[node.name] = self.connect(node)
            position = self._positions.get(node.name)
            answer = self._connections[node.name].call([{**operation, "position": position}])[0]
        except UnreachableError as error:
            if broken := self._connections.pop(node.name, None):
                broken.close()
            if node.name not in self._failed:
                self.report(f"{node.name}: {error.message}")
            self._failed.add(node.name)
            return []
        self._failed.discard(node.name)
        self._positions[node.name] = answer["position"]
        return [self._line(node.name, entry) for entry in answer["entries"]]

    def _line(self, node: str, entry: Mapping[str, Any]) -> Line:
        return Line(entry["at"], node, entry["unit"], mask(entry["text"], self.secrets))


def mask(text: str, secrets: Iterable[str]) -> str:
    """Replace secrets: a program may have written one to its log."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "[secret]")
    return text
