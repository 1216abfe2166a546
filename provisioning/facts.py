"""Observed state of one node: the query for the agent, and its response as frozen data. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioning.kinds.base import Item


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of one node, limited to what its manifest needs."""

    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])  # by kind
    addresses: tuple[str, ...] = ()  # virtual IPs that the node holds now
    pending: tuple[str, ...] = ()  # "reload nginx": actions that an interrupted run did not finish
    # Identifies the last changing call on the node; None: one was running while the facts were gathered.
    changes: str | None = None
    draining: bool = False  # an interrupted switchover left the node drained

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
            draining=answer["draining"],
        )


def question(items: Iterable[Item], virtual_ips: Iterable[str]) -> dict[str, Any]:
    """The agent's `facts` operation for these items. Their placeholders must be replaced already."""
    questions: dict[str, list[Any]] = {}
    for item in items:
        if (asked := item.question()) is not None:
            questions.setdefault(item.kind(), []).append(asked)
    return {"do": "facts", "questions": questions, "virtual_ips": list(virtual_ips)}
