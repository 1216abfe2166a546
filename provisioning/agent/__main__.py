"""Serves one session with `ssh_connection.py`: one request a line on stdin, and framed lines on stdout.

Each line is preceded by the request's random mark, so that nothing else on stdout can be taken for a response: login
files may print. All lines are ASCII.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from typing import Any

from .calls import answer
from .change_lock import unlock
from .node import Node

# The operator renews the change lock every few seconds. Without any request for this long, its connection has gone
# without a FIN, and this process would otherwise stay until sshd notices.
IDLE_S = 3600


def _write(mark: str, line: dict[str, Any]) -> None:
    sys.stdout.write(f"\n{mark}{json.dumps(line)}\n")
    sys.stdout.flush()


def _send_progress(mark: str, text: str) -> None:
    with contextlib.suppress(OSError):  # a step runs to its end although the connection was cut
        _write(mark, {"progress": text})


def _serve() -> None:
    locked_with: set[str] = set()
    while True:
        signal.alarm(IDLE_S)
        line = sys.stdin.buffer.readline()
        signal.alarm(0)
        if not line.endswith(b"\n"):
            break
        request = json.loads(line)
        mark = request["mark"]
        response = answer(
            Node(stdin=sys.stdin.buffer, progress=lambda text, mark=mark: _send_progress(mark, text)), request
        )
        if any(operation["do"] == "lock" for operation in request["operations"]) and "error" not in response:
            locked_with.add(request["token"])
        try:
            _write(mark, response)
        except BrokenPipeError:
            os._exit(1)  # the channel was closed during the call, so nothing says that the operator has ended
    # The connection ended between two calls, so the operator has ended: the next one need not wait for the expiry.
    for token in locked_with:
        node = Node()
        node.token = token
        unlock(node)


os.umask(0o022)
_serve()
