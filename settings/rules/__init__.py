"""Rules that compare sections.

The parameters of a rule are named after the sections that it compares. A rule is called only if all of them are valid.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from settings.problems import Problem
from settings.rules import addresses, apps, distributions, keepalived, nginx, services

_RULES = (*addresses.RULES, *keepalived.RULES, *services.RULES, *nginx.RULES, *apps.RULES, *distributions.RULES)


def find_contradictions(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the contradictions between sections that are valid separately."""
    for rule in _RULES:
        compared = inspect.signature(rule).parameters
        if all(sections.get(name) is not None for name in compared):
            yield from rule(**{name: sections[name] for name in compared})
