"""What all kinds of things have in common.

A manifest is a sequence of things in the order in which they are applied. Things of the phases INSTALL and PREPARE
disturb nothing that serves and are done first; then every check runs on the candidates; then the things of COMMIT are
committed in the order of the manifest. A changed thing names the units that have to follow
(`after=(reload("nginx"),)`). These follow where the manifest next names the unit, so a configuration is complete before
anything reads it. What has to follow is recorded on the node before the change is made: a rollout that is killed in
between still reloads, in the next run.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from provisioning.placeholders import find_names, substitute

Action = Literal["reload", "restart"]
_SYSTEMD_FILES = "/etc/systemd/system/"


class Phase(enum.IntEnum):
    """When a thing has its turn in a rollout, in this order."""

    INSTALL = enum.auto()  # before everything else
    PREPARE = enum.auto()  # disturbs nothing that serves
    CHECK = enum.auto()  # judges the candidates
    COMMIT = enum.auto()
    GATE = enum.auto()  # after the commit


@dataclass(frozen=True, slots=True)
class After:
    """What has to happen to a unit once something that it reads has changed."""

    action: Action
    unit: str  # "nginx", or with its type: "tandem.timer"

    def __str__(self) -> str:
        return f"{self.action} {self.unit}"


def reload(unit: str) -> After:
    """The unit reads its files again and drops no connection."""
    return After("reload", unit)


def restart(unit: str) -> After:
    """Only where a reload cannot do it: connections are cut."""
    return After("restart", unit)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a path is going to be: a file with this text, a link to this target, or (with neither) absent."""

    path: str
    text: str | None = None
    target: str | None = None
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing that a node should hold or run. Subclasses are frozen data; text may hold placeholders of secrets."""

    phase: ClassVar[Phase] = Phase.COMMIT

    @classmethod
    def kind(cls) -> str:
        """The name of the module, here and on the node: "file"."""
        return cls.__module__.rpartition(".")[2]

    @property
    def label(self) -> str:
        """How plans and errors name it: "/etc/nginx/nginx.conf", "unit nginx"."""
        raise NotImplementedError

    # ---- compared with the node ------------------------------------------------------------------------------------

    def question(self) -> Any:
        """What the agent has to look at, as JSON; None = nothing."""

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        """Why it is not as it should be; None when it is. `answer` is the agent's, to the questions of this kind."""
        del answer
        return None

    def changed_lines(self, answer: Mapping[str, Any]) -> list[str]:
        """The lines that differ, where that can be told."""
        del answer
        return []

    # ---- changed on the node ---------------------------------------------------------------------------------------

    def operation(self) -> dict[str, Any]:
        """What the agent's module of this kind is given, as JSON."""
        raise NotImplementedError

    def candidates(self) -> Sequence[Candidate]:
        """The paths that it replaces; staged, checked and kept for a rollback."""
        return ()

    def followed_by(self) -> Sequence[str]:
        """What has to follow once it has changed: "daemon-reload", "reload nginx"."""
        return ()

    def follows(self) -> Sequence[str]:
        """The units whose pending reloads and restarts are done with this thing."""
        return ()

    def units(self) -> Sequence[str]:
        """The systemd units that it keeps running."""
        return ()

    # ---- as data ---------------------------------------------------------------------------------------------------

    def with_secrets(self, secrets: Mapping[str, str], node: str) -> Self:
        """Placeholders in its texts replaced. Raises ProvisioningError for a secret that is not given."""
        texts = {
            field.name: substitute(text, secrets, f"{node}: {self.label}")
            for field in dataclasses.fields(self)
            if isinstance(text := getattr(self, field.name), str) and find_names(text)
        }
        return dataclasses.replace(self, **texts) if texts else self

    def to_data(self) -> dict[str, Any]:
        """JSON; defaults are left out."""
        data: dict[str, Any] = {"kind": type(self).__name__}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value == field.default:
                continue
            if field.name == "after":
                data["after"] = [str(after) for after in value]
            elif field.name == "mode":
                data["mode"] = f"{value:04o}"
            else:
                data[field.name] = list(value) if isinstance(value, tuple) else value
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_data`. Numbers may have become floats on the way (Pulumi has no integers)."""
        return cls(**{key: _from_json(key, value) for key, value in data.items() if key != "kind"})


def _from_json(key: str, value: Any) -> Any:
    if key == "after":
        return tuple(_parse_after(text) for text in value)
    if key == "mode":
        return int(value, 8)
    if isinstance(value, (list, tuple)):
        return tuple(value)
    return int(value) if isinstance(value, float) else value


def _parse_after(text: str) -> After:
    action, _, unit = text.partition(" ")
    return restart(unit) if action == "restart" else reload(unit)


def followed_by(path: str, after: Sequence[After]) -> tuple[str, ...]:
    """What has to follow a change of that path. systemd reads its own files first."""
    first = ("daemon-reload",) if path.startswith(_SYSTEMD_FILES) else ()
    return (*first, *map(str, after))


def owner_difference(thing: Any, fact: Mapping[str, Any]) -> str | None:
    """Owner, group and mode of a file or directory."""
    if (fact["owner"], fact["group"]) != (thing.owner, thing.group):
        return f"belongs to {fact['owner']}:{fact['group']}, not {thing.owner}:{thing.group}"
    if fact["mode"] != thing.mode:
        return f"has mode {fact['mode']:04o}, not {thing.mode:04o}"
    return None


def owned(thing: Any) -> dict[str, Any]:
    return {"path": thing.path, "owner": thing.owner, "group": thing.group, "mode": thing.mode}
