"""Sends archives to a node. A transfer that broke continues where it stopped, in this run or in the next one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from provisioning.errors import NodeError, UnreachableError
from provisioning.inventory import RemoteNode
from provisioning.kinds.archive import Archive
from provisioning.plan import Plan
from provisioning.ssh.agent_calls import Connection, Upload

REPORT_EVERY_S = 5.0
UNPACK_DEADLINE_S = 600.0
_MIB = 1 << 20


def send_archives(
    connection: Connection,
    plan: Plan,
    reconnect: Callable[[RemoteNode], Connection],
    report: Callable[[str], None],
) -> Connection:
    """Send the archives that the node lacks. Returns the connection to use from now on.

    This needs no change lock: the path of an archive on the node identifies its content.

    Raises:
        UnreachableError: the connection broke again before anything more was sent.
        NodeError: the node cannot unpack the archive.
    """
    for step in plan.prepare:
        if isinstance(step.item, Archive):
            connection = _send(connection, step.item, reconnect, report)
    return connection


def _send(
    connection: Connection,
    archive: Archive,
    reconnect: Callable[[RemoteNode], Connection],
    report: Callable[[str], None],
) -> Connection:
    node = connection.node
    offset = _received(connection, archive)
    while True:
        try:
            _send_rest(connection, archive, offset, _Progress(node.name, Path(archive.source), report))
        except UnreachableError as error:
            report(f"{node.name}: {error.message}; connecting again")
            connection = reconnect(node)
            received = _received(connection, archive)
            if received <= offset:
                raise
            offset = received
        except NodeError as error:
            # The node has deleted what it received. The first part may have been damaged by a power cut.
            if "checksum" not in error.message or not offset:
                raise
            offset = 0
        else:
            return connection


def _received(connection: Connection, archive: Archive) -> int:
    return int(connection.call([{"do": "received", "sha256": archive.sha256}])[0])


def _send_rest(connection: Connection, archive: Archive, offset: int, progress: _Progress) -> None:
    source = Path(archive.source)
    operation = {
        "do": "receive",
        "path": archive.path,
        "sha256": archive.sha256,
        "size": source.stat().st_size,
        "offset": offset,
    }
    progress.begin(offset)
    upload = Upload(source, offset, progress.sent)
    connection.call([operation], upload=upload, deadline_s=UNPACK_DEADLINE_S, report=progress.report)


class _Progress:
    """Reports a transfer every few seconds."""

    def __init__(self, node: str, source: Path, report: Callable[[str], None]) -> None:
        self._node, self._source, self.report = node, source, report
        self._size = source.stat().st_size
        self._reported_at = 0.0

    def begin(self, offset: int) -> None:
        self._reported_at = time.monotonic()
        rest = f", continuing after {offset / _MIB:.1f} MiB" if offset else ""
        self.report(f"{self._node}: sending {self._source.name} ({self._size / _MIB:.1f} MiB{rest})")

    def sent(self, position: int) -> None:
        if time.monotonic() - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = time.monotonic()
            self.report(
                f"{self._node}: sent {position / _MIB:.1f} of {self._size / _MIB:.1f} MiB "
                f"({100 * position // self._size} %)"
            )
