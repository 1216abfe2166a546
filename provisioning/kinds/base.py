"""The base class of all kinds of items.

A manifest is a sequence of items in the order in which they are applied. Items of the phases INSTALL and PREPARE do
not affect running services and come first. Then the checks validate the candidates, and the items of COMMIT are
committed in the order of the manifest.

An item names the units to reload or restart after a change (`after=(reload("nginx"),)`). This happens at the next
`Unit` item of that name, so a configuration is complete before it is read. Required reloads and restarts are recorded
on the node before the change, so the run after an interrupted one performs them.
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
    """The phases of a rollout, in order."""

    INSTALL = enum.auto()  # before all other phases
    PREPARE = enum.auto()  # does not affect running services
    CHECK = enum.auto()  # validates the candidates
    COMMIT = enum.auto()
    GATE = enum.auto()  # a health check that a node must pass after the commit
    HEALTH = enum.auto()  # a health check of `tandem health` only


class Turn(enum.IntEnum):
    """When an item is committed, relative to the other nodes of a group that serves (provisioning/rollout/order.py)."""

    BEFORE_OTHERS = enum.auto()  # services on other nodes need it: before any node is taken out of service
    IN_ORDER = enum.auto()  # when its node is committed
    AFTER_ALL = enum.auto()  # services on other nodes need it until they are committed: after all nodes


@dataclass(frozen=True, slots=True)
class UnitAction:
    """An action on a unit after a file that it reads has changed."""

    action: Action
    unit: str  # "nginx", or with its type, "tandem.timer"

    def __str__(self) -> str:
        return f"{self.action} {self.unit}"


def reload(unit: str) -> UnitAction:
    """Reload the unit, which keeps its connections."""
    return UnitAction("reload", unit)


def restart(unit: str) -> UnitAction:
    """Restart the unit, which cuts its connections. Only if a reload is not sufficient."""
    return UnitAction("restart", unit)


@dataclass(frozen=True, slots=True)
class Candidate:
    """The new state of a path: a file with `text`, a link to `target`, or absent if both are None."""

    path: str
    text: str | None = None
    target: str | None = None
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Item:
    """One part of a node's desired state. Subclasses are frozen data; texts may contain placeholders for secrets."""

    phase: ClassVar[Phase] = Phase.COMMIT

    @classmethod
    def kind(cls) -> str:
        """The name of the module, here and in the agent: "file"."""
        return cls.__module__.rpartition(".")[2]

    @property
    def label(self) -> str:
        """The name in plans and errors: "/etc/nginx/nginx.conf", "unit nginx"."""
        raise NotImplementedError

    # ---- comparison with the node ----------------------------------------------------------------------------------

    def question(self) -> Any:
        """The argument for the agent's `facts` function of this kind, as JSON; None: no facts are needed."""

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        """The difference from the node's state, or None. `answer` holds the facts of all items of this kind."""
        del answer
        return None

    def refusal(self, answer: Mapping[str, Any]) -> str | None:
        """Why the node cannot be brought to this state, or None. A refusal stops the rollout before any change."""
        del answer
        return None

    def advice(self) -> str:
        """Where to look after a refusal."""
        return ""

    def changed_lines(self, answer: Mapping[str, Any]) -> list[str]:
        """The lines that differ, if known."""
        del answer
        return []

    # ---- changes on the node ---------------------------------------------------------------------------------------

    def turn(self) -> Turn:
        """When it is committed, relative to the other nodes."""
        return Turn.IN_ORDER

    def operation(self) -> dict[str, Any]:
        """The arguments for the agent's module of this kind, as JSON."""
        raise NotImplementedError

    def commit_s(self) -> float:
        """Seconds that its commit may take, in addition to those of the other items."""
        return 0.0

    def candidates(self) -> Sequence[Candidate]:
        """The paths that it replaces. They are staged and checked.

        The previous version is kept until another revision is staged.
        """
        return ()

    def unit_actions(self) -> Sequence[str]:
        """The actions that a change requires: "daemon-reload", "reload nginx"."""
        return ()

    def follows(self) -> Sequence[str]:
        """The units whose pending reloads and restarts this item performs."""
        return ()

    def units(self) -> Sequence[str]:
        """The systemd units that it keeps running."""
        return ()

    def removal(self) -> dict[str, Any] | None:
        """What identifies it on the node after it has left the manifest, as JSON; None: it is not removed.

        The agent's module of this kind removes it with `remove(node, entry)`. Contains no secrets.
        """

    def removal_secrets(self) -> dict[str, Any] | None:
        """What `remove` of the agent's module needs beside the entry, for all entries of this kind; not recorded."""

    # ---- conversion to and from data -------------------------------------------------------------------------------

    def with_secrets(self, secrets: Mapping[str, str], node: str) -> Self:
        """A copy with placeholders replaced by secrets. Raises ProvisioningError if a secret has no value."""
        texts = {
            field.name: substitute(text, secrets, f"{node}: {self.label}")
            for field in dataclasses.fields(self)
            if isinstance(text := getattr(self, field.name), str) and find_names(text)
        }
        return dataclasses.replace(self, **texts) if texts else self

    def to_data(self) -> dict[str, Any]:
        """The fields as JSON data, without default values."""
        data: dict[str, Any] = {"kind": type(self).__name__}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value == field.default:
                continue
            if field.name == "after":
                data["after"] = [str(action) for action in value]
            elif field.name == "mode":
                data["mode"] = f"{value:04o}"
            else:
                data[field.name] = list(value) if isinstance(value, tuple) else value
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_data`. Accepts floats for integers, since Pulumi has no integers."""
        return cls(**{key: _from_json(key, value) for key, value in data.items() if key != "kind"})


def _from_json(key: str, value: Any) -> Any:
    if key == "after":
        return tuple(parse_action(text) for text in value)
    if key == "mode":
        return int(value, 8)
    if isinstance(value, (list, tuple)):
        return tuple(value)
    return int(value) if isinstance(value, float) else value


def parse_action(text: str) -> UnitAction:
    """The inverse of `str`: "reload nginx"."""
    action, _, unit = text.partition(" ")
    return restart(unit) if action == "restart" else reload(unit)


def actions_after_change(path: str, after: Sequence[UnitAction]) -> tuple[str, ...]:
    """The actions that a change of the path requires. For files of systemd, a daemon-reload comes first."""
    first = ("daemon-reload",) if path.startswith(_SYSTEMD_FILES) else ()
    return (*first, *map(str, after))


def owner_difference(item: Any, fact: Mapping[str, Any]) -> str | None:
    """The difference in owner, group or mode of a file or directory, or None."""
    if (fact["owner"], fact["group"]) != (item.owner, item.group):
        return f"owner is {fact['owner']}:{fact['group']}, must be {item.owner}:{item.group}"
    if fact["mode"] != item.mode:
        return f"mode is {fact['mode']:04o}, must be {item.mode:04o}"
    return None


def owned(item: Any) -> dict[str, Any]:
    return {"path": item.path, "owner": item.owner, "group": item.group, "mode": item.mode}
