"""Which virtual routers of this node are drained.

keepalived adds the value of its track_file for the drain to the router's priority. After a boot the files do not exist.
"""

from __future__ import annotations

from .node import Node

DRAIN_FILE = "/run/tandem/drain-"  # and the name of the virtual router, such as VI_1


def drained_routers(node: Node) -> list[str]:
    """The names of the drained virtual routers, sorted."""
    prefix = node.at(DRAIN_FILE)
    files = prefix.parent.glob(prefix.name + "*")
    return sorted(
        file.name.removeprefix(prefix.name)
        for file in files
        if not file.suffix and file.read_text().strip() not in {"", "0"}
    )
