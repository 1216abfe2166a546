"""Applies the recorded deployment to the nodes again, and is interrupted before or after one call to a node.

Usage: python -m tests.end_to_end.interrupted_rollout POINT (kill | cut | wait), in the operator's network namespace.

The points are numbered from 0: two for each call, in the order in which they are reached. `kill` ends this process with
SIGKILL, `cut` closes the connection to the node, `wait` prints the node and continues after a line on stdin. The last
line is the number of points, if the rollout was not interrupted, or the error.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from operations.engine import open_engine
from operations.recorded import read_deployment
from provisioning.errors import ProvisioningError, UnreachableError
from provisioning.inventory import RemoteNode
from provisioning.manifest import Manifest
from provisioning.rollout.rollout import roll_out
from provisioning.ssh.agent_calls import Connection
from provisioning.ssh.transport import connector


class Points:
    """Counts the points of all nodes, and interrupts at one of them."""

    def __init__(self, at: int, how: str) -> None:
        self.reached = 0
        self._at, self._how = at, how
        self._lock = threading.Lock()

    def reach(self, connection: Connection) -> None:
        with self._lock:
            number, self.reached = self.reached, self.reached + 1
        if number != self._at:
            return
        if self._how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._how == "cut":
            connection.close()
            raise UnreachableError(f"{connection.node.name}: the connection was cut")
        print(f"at {connection.node.name}", flush=True)
        sys.stdin.readline()


class CountedConnection:
    """A connection with a point before and after each call."""

    def __init__(self, inner: Connection, points: Points) -> None:
        self.node = inner.node
        self._inner, self._points = inner, points

    def call(self, operations: Sequence[dict[str, Any]], **options: Any) -> list[Any]:
        # The lock is renewed by a timer, which would number the points differently in each run.
        counted = operations[0]["do"] != "renew"
        if counted:
            self._points.reach(self._inner)
        results = self._inner.call(operations, **options)
        if counted:
            self._points.reach(self._inner)
        return results

    def close(self) -> None:
        self._inner.close()


def main() -> None:
    points = Points(int(sys.argv[1]), sys.argv[2])
    group = read_deployment(open_engine("local").deployment(), "local")
    manifests = {name: Manifest(name, tuple(items)) for name, items in group.items.items()}
    to = connector(group.inventory)

    def connect(node: RemoteNode) -> CountedConnection:
        return CountedConnection(to(node), points)

    try:
        roll_out(group.inventory, manifests, {}, connect=connect)
        print(points.reached)
    except ProvisioningError as error:
        print(error.message)


if __name__ == "__main__":
    main()
