"""A manifest: all that one machine should hold and run, rendered and in order."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning import desired
from provisioning.deployment import Deployment, Machine
from provisioning.desired import After, Archive, File, Thing
from provisioning.services import base, data_disk, firewall, iam, keepalived, mariadb, nginx, redis

_KINDS: dict[str, type[Thing]] = {
    kind.__name__: kind
    for kind in (
        desired.Package, desired.User, desired.Directory, desired.Archive, desired.FileSystem, desired.FirstContent,
        desired.Check, desired.File, desired.Link,
        desired.Absent, desired.Sysctl, desired.Database, desired.Account, desired.Grant, desired.Query, desired.Unit,
        desired.Gate,
    )
}  # fmt: skip

# Data first, then what reads it, then what stands in front: each starts on what it needs.
# Last, what is no longer needed.
_SERVICES = (
    base.desired, firewall.desired, data_disk.desired, mariadb.desired, redis.desired, iam.desired, nginx.desired,
    keepalived.desired, data_disk.desired_without_data,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Manifest:
    host: str
    things: tuple[Thing, ...]

    def __post_init__(self) -> None:
        seen: set[tuple[str, str]] = set()
        for thing in self.things:
            for path in [thing.path] if isinstance(thing, (File, desired.Link, desired.Absent)) else []:
                if ("path", path) in seen:
                    raise ValueError(f"{self.host}: two things claim {path}; one path is one thing")
                seen.add(("path", path))

    def files(self) -> dict[str, str]:
        """The text of each file by its path, placeholders and all: what a preview shows line by line."""
        return {thing.path: thing.text for thing in self.things if isinstance(thing, File)}

    def archives(self) -> tuple[Archive, ...]:
        return tuple(thing for thing in self.things if isinstance(thing, Archive))

    def to_data(self) -> list[dict[str, Any]]:
        """JSON without the files' text (which `files` has, so that a changed line shows once); defaults left out."""
        return [_thing_to_data(thing) for thing in self.things]

    @classmethod
    def from_data(cls, host: str, data: list[dict[str, Any]], files: Mapping[str, str]) -> Manifest:
        """The inverse of `to_data` and `files`. Numbers may have become floats on the way (Pulumi has no integers)."""
        return cls(host, tuple(_thing_from_data(item, files) for item in data))


def _thing_to_data(thing: Thing) -> dict[str, Any]:
    data: dict[str, Any] = {"kind": type(thing).__name__}
    for field in dataclasses.fields(thing):
        value = getattr(thing, field.name)
        if value == field.default or (isinstance(thing, File) and field.name == "text"):
            continue
        if field.name == "after":
            data["after"] = [f"{after.action} {after.unit}" for after in value]
        elif field.name == "mode":
            data["mode"] = f"{value:04o}"
        else:
            data[field.name] = list(value) if isinstance(value, tuple) else value
    return data


def _thing_from_data(data: Mapping[str, Any], files: Mapping[str, str]) -> Thing:
    kind = _KINDS[data["kind"]]
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key == "kind":
            continue
        if key == "after":
            values[key] = tuple(_after_from_text(text) for text in value)
        elif key == "mode":
            values[key] = int(value, 8)
        elif isinstance(value, (list, tuple)):
            values[key] = tuple(value)
        elif isinstance(value, float):
            values[key] = int(value)
        else:
            values[key] = value
    if kind is File:
        values["text"] = files[values["path"]]
    return kind(**values)


def _after_from_text(text: str) -> After:
    action, _, unit = text.partition(" ")
    return desired.restart(unit) if action == "restart" else desired.reload(unit)


def render(deployment: Deployment) -> dict[str, Manifest]:
    """Each machine's manifest, by the machine's name. Pure: settings in, text out."""
    return {machine.name: _render_machine(deployment, machine) for machine in deployment.machines}


def _render_machine(deployment: Deployment, machine: Machine) -> Manifest:
    things = [thing for desired_of in _SERVICES for thing in desired_of(deployment, machine)]
    # What to stop, and in which order, before the machine's disks are taken away: it must be known there by itself.
    units = [
        thing.name for thing in things if isinstance(thing, desired.Unit) and thing.running and thing.name != "ssh"
    ]
    known = File("/etc/tandem/machine.json", json.dumps({"units": units}, indent=2) + "\n")
    return Manifest(machine.name, (*things, known))
