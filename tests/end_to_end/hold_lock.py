"""Holds the change lock of a group until a line arrives on stdin, then tries to change the nodes.

Usage: python -m tests.end_to_end.hold_lock OUTPUTS.json, in the operator's network namespace.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from provisioning.change_lock import locked
from provisioning.errors import ProvisioningError
from provisioning.exports import parse_exports
from provisioning.ssh.transport import connector

_NO_CHANGE = {"do": "stage", "revision": "x", "files": [], "links": [], "absent": [], "unit_actions": [], "checks": []}


def main() -> None:
    exports = parse_exports(json.loads(Path(sys.argv[1]).read_text()))
    assert exports is not None
    connect = connector(exports.inventory)
    connections = [connect(node) for node in exports.inventory.nodes]
    with locked(connections) as lock:
        print(f"locked by {os.getpid()}", flush=True)
        sys.stdin.readline()
        try:
            connections[0].call([_NO_CHANGE], token=lock.token)
            print("changed", flush=True)
        except ProvisioningError as error:
            print(error.message, flush=True)


if __name__ == "__main__":
    main()
