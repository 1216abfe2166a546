"""The drop-ins of units that are not Tandem's: what changes a unit although its unit file is as deployed."""

from __future__ import annotations

from .node import Node

# Not /usr/lib, where the distribution's drop-ins are, and not those that systemd generates.
_BY_HAND = ("/etc/systemd/", "/run/systemd/system", "/run/systemd/transient")


def describe_foreign(node: Node, drop_in_paths: str) -> str:
    """Name the drop-ins among `DropInPaths` of systemd that Tandem has not written; "" if there are none."""
    if not drop_in_paths:
        return ""
    ours = {entry.get("path") for entry in node.read_json("manifest.json", [])}
    found = [path for path in drop_in_paths.split() if path.startswith(_BY_HAND) and path not in ours]
    return "".join(f"; drop-in {path} is not Tandem's" for path in found)
