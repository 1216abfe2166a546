"""Rules between sections.

A rule names the sections that it compares as its parameters. It is called only when all of these could be read.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from settings.problems import Problem
from settings.rules import addresses, services

_RULES = (*addresses.RULES, *services.RULES)


def find_contradictions(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems between sections that are valid on their own."""
    for rule in _RULES:
        compared = inspect.signature(rule).parameters
        if all(sections.get(name) is not None for name in compared):
            yield from rule(**{name: sections[name] for name in compared})
