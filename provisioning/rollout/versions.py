"""The revision of a rollout: its place in the order of rollouts, its record on the nodes, and its rejection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.change_lock import this_process
from provisioning.errors import RejectedError
from provisioning.facts import Facts
from provisioning.kinds.base import Item, Phase
from provisioning.kinds.gate import Gate


@dataclass(frozen=True, slots=True)
class Version:
    """One revision of the group's manifests and the number of the rollout that deploys it."""

    revision: str
    serial: int


def next_version(revision: str, facts: Iterable[Facts]) -> Version:
    """The version of this rollout. A run that continues the newest rollout has the same serial number."""
    versions = [each.versions for each in facts]
    newest = max((each.serial for each in versions), default=0)
    started = [each for version in versions for each in (version.current, version.unfinished) if each]
    continues = any((each["revision"], each["serial"]) == (revision, newest) for each in started)
    return Version(revision, newest if continues else newest + 1)


def refuse_rejected(revision: str, facts: Iterable[Facts]) -> None:
    """Raises RejectedError if a node has the mark of this revision."""
    for each in facts:
        if revision in each.versions.rejected:
            raise RejectedError(
                f"{each.versions.describe_rejection(revision)}; nothing was changed",
                look_at="change the program or its settings; to deploy this revision in spite of it: tandem up --force",
            )


def accept_operation(version: Version, items: Sequence[Item]) -> dict[str, Any]:
    """The agent's operation that records the version after its health gates have passed."""
    gates = [item.to_data() for item in items if isinstance(item, Gate)]
    me, now = this_process(), dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    record = {"revision": version.revision, "serial": version.serial, "gates": gates}
    return {"do": "accept", **record, "at": now, "by": f"{me['user']}@{me['host']}"}


def recorded_gates(record: Mapping[str, Any] | None) -> list[Gate]:
    """The health gates of a version that a node has recorded. This release of Tandem may not know those of another."""
    gates: list[Gate] = []
    for data in record["gates"] if record else ():
        try:
            gates.append(Gate.from_data(data))
        except TypeError:
            continue
    return gates


def all_gates(record: Mapping[str, Any] | None, present: Iterable[Item]) -> list[Item]:
    """The health gates of a version. Nodes record no secrets, so the login is that of the present version.

    It is left out if the version has no service of the same name. A refused password is only a warning of this check.
    """
    gates = recorded_gates(record)
    units = {gate.name for gate in gates}
    others = [item for item in present if item.phase is Phase.GATE and not isinstance(item, Gate)]
    return [*gates, *(item for item in others if item.operation()["unit"] in units)]
