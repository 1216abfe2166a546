"""A manifest: all that one node should hold and run, rendered and in order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.deployment import Deployment, Node
from provisioning.kinds import KINDS
from provisioning.kinds.base import Thing
from provisioning.kinds.file import File
from provisioning.services import base, data_disk, firewall, iam, keepalived, mariadb, nginx, redis

# Data first, then what reads it, then what stands in front: each starts on what it needs.
# Last, what is no longer needed.
_SERVICES = (
    base.desired, firewall.desired, data_disk.desired, mariadb.desired, redis.desired, iam.desired, nginx.desired,
    keepalived.desired, data_disk.desired_after_move,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Manifest:
    node: str
    things: tuple[Thing, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for path in (candidate.path for thing in self.things for candidate in thing.candidates()):
            if path in seen:
                raise ValueError(f"{self.node}: two things claim {path}; one path is one thing")
            seen.add(path)

    def files(self) -> dict[str, str]:
        """The text of each file by its path, placeholders and all: what a preview shows line by line."""
        return {thing.path: thing.text for thing in self.things if isinstance(thing, File)}

    def to_data(self) -> list[dict[str, Any]]:
        """JSON without the texts of files, which `files` has; defaults are left out."""
        return [thing.to_data() for thing in self.things]

    @classmethod
    def from_data(cls, node: str, data: list[dict[str, Any]], files: Mapping[str, str]) -> Manifest:
        """The inverse of `to_data` and `files`."""
        return cls(node, tuple(_thing(item, files) for item in data))


def _thing(data: Mapping[str, Any], files: Mapping[str, str]) -> Thing:
    kind = KINDS[data["kind"]]
    return kind.from_data({**data, "text": files[data["path"]]} if kind is File else data)


def render(deployment: Deployment) -> dict[str, Manifest]:
    """Each node's manifest, by the node's name. Pure: settings in, text out."""
    return {node.name: _render_node(deployment, node) for node in deployment.nodes}


def _render_node(deployment: Deployment, node: Node) -> Manifest:
    things = [thing for desired_of in _SERVICES for thing in desired_of(deployment, node)]
    # What to stop, and in which order, before the disks of the node are taken away; the node has to know it.
    units = [unit for thing in things for unit in thing.units() if unit != "ssh"]
    known = File("/etc/tandem/node.json", json.dumps({"units": units}, indent=2) + "\n")
    return Manifest(node.name, (*things, known))
