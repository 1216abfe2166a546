"""Observed state of one node: the query for the agent, and its response as frozen data. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioning.agent.previous import is_repair
from provisioning.kinds.base import Item


@dataclass(frozen=True, slots=True)
class Versions:
    """The revisions that a node has recorded."""

    current: Mapping[str, Any] | None = None  # revision, serial, gates: the last one that passed its health gates
    # The way back from `revision` to `base`, which has the fields of `current`; `actions` are its reloads and restarts,
    # `missing` the links' targets that no longer exist.
    previous: Mapping[str, Any] | None = None
    unfinished: Mapping[str, Any] | None = None  # the same for a commit that has not passed its health gates
    rejected: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])  # at, by

    @property
    def revision(self) -> str:
        """The current revision; "" before the first finished rollout."""
        return str(self.current["revision"]) if self.current else ""

    def describe_rejection(self, revision: str) -> str:
        mark = self.rejected[revision]
        return f"revision {revision} was rolled back at {mark['at']} by {mark['by']}"

    @property
    def way_back(self) -> Mapping[str, Any] | None:
        """The journal that restores the previous version; that of an unfinished repair restores the current one."""
        return self.previous if self.unfinished is None or is_repair(self.unfinished) else self.unfinished

    @property
    def serial(self) -> int:
        """The number of the newest rollout on this node. Later rollouts of the group have higher numbers."""
        return max((int(each["serial"]) for each in (self.current, self.previous, self.unfinished) if each), default=0)


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of one node, limited to what its manifest needs."""

    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])  # by kind
    addresses: tuple[str, ...] = ()  # virtual IPs that the node holds now
    pending: tuple[str, ...] = ()  # "reload nginx": actions that an interrupted run did not finish
    # Identifies the last changing call on the node; None: one was running while the facts were gathered.
    changes: str | None = None
    applied: tuple[Mapping[str, Any], ...] = ()  # the items that Tandem has applied, in order (agent/applied.py)
    removed: tuple[Mapping[str, Any], ...] = ()  # the items that the current revision has removed
    # The record that a database has held data (agent/held_data.py); empty if none has.
    held_data: Mapping[str, str] = field(default_factory=dict[str, str])
    draining: bool = False  # an interrupted switchover left the node drained
    versions: Versions = Versions()

    def of(self, item: Item) -> Mapping[str, Any]:
        """The facts of all items of the same kind as `item`."""
        return self.answers.get(item.kind(), {})

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Facts:
        return cls(
            answers=answer["answers"],
            addresses=tuple(answer["addresses"]),
            pending=tuple(answer["pending"]),
            changes=answer["changes"],
            applied=tuple(answer["applied"]),
            removed=tuple(answer["removed"]),
            held_data=answer["held_data"],
            draining=answer["draining"],
            versions=Versions(**answer["versions"]),
        )


def question(items: Iterable[Item], virtual_ips: Iterable[str]) -> dict[str, Any]:
    """The agent's `facts` operation for these items. Their placeholders must be replaced already."""
    questions: dict[str, list[Any]] = {}
    for item in items:
        if (asked := item.question()) is not None:
            questions.setdefault(item.kind(), []).append(asked)
    return {"do": "facts", "questions": questions, "virtual_ips": list(virtual_ips)}
