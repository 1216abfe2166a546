"""What settings owe to each other. Each rule asks for the sections it compares, by the names of its parameters;
it is only asked when all of these could be read.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from stacks import rules_for_addresses, rules_for_services

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stacks.problems import Problem

_RULES = (*rules_for_addresses.RULES, *rules_for_services.RULES)


def find_contradictions(facts: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems between sections that are right by themselves."""
    for rule in _RULES:
        wanted = inspect.signature(rule).parameters
        if all(facts.get(name) is not None for name in wanted):
            yield from rule(**{name: facts[name] for name in wanted})
