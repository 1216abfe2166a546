"""Observed state of one node: the question for the agent, and its answer as frozen data. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioning.kinds.base import Thing


@dataclass(frozen=True, slots=True)
class Facts:
    """One node as its agent saw it, as far as it was asked."""

    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])  # by kind
    addresses: tuple[str, ...] = ()  # of the virtual IPs, those that the node has now
    pending: tuple[str, ...] = ()  # "reload nginx": what changes of an earlier run still have to be followed by
    draining: bool = False  # a switchover was begun and not ended

    def of(self, thing: Thing) -> Mapping[str, Any]:
        """The answer to the questions of that thing's kind."""
        return self.answers.get(thing.kind(), {})

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Facts:
        return cls(
            answers=answer["answers"],
            addresses=tuple(answer["addresses"]),
            pending=tuple(answer["pending"]),
            draining=answer["draining"],
        )


def question(things: Iterable[Thing], virtual_ips: Iterable[str]) -> dict[str, Any]:
    """The agent's `facts` operation for these things, whose texts hold their secrets already."""
    questions: dict[str, list[Any]] = {}
    for thing in things:
        if (asked := thing.question()) is not None:
            questions.setdefault(thing.kind(), []).append(asked)
    return {"do": "facts", "questions": questions, "virtual_ips": list(virtual_ips)}
