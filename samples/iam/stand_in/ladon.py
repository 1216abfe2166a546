"""Policies as in ladon: subjects, resources and actions with <regular expressions>; deny overrides allow.

Differences from the Go library: Python's regular expressions, without a limit on their running time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .codes import BIND, VALIDATION, CodedError, IamError
from .conditions import CONDITIONS, Asked

BY_DEFAULT = "Request was denied by default"
FORCEFULLY = "Request was forcefully denied"


class PatternError(IamError):
    """A policy's <...> is not a valid regular expression. The request is denied with this reason."""


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    reason: str  # empty where allowed
    deciders: tuple[Mapping[str, Any], ...]


def decide(asked: Asked, policies: Sequence[Mapping[str, Any]]) -> Decision:
    """The first matching deny decides, then any matching allow; otherwise the request is denied."""
    deciders: list[Mapping[str, Any]] = []
    for policy in policies:
        if not _applies(asked, policy):
            continue
        deciders.append(policy)
        if policy["effect"] != "allow":
            return Decision(allowed=False, reason=FORCEFULLY, deciders=tuple(deciders))
    return Decision(allowed=bool(deciders), reason="" if deciders else BY_DEFAULT, deciders=tuple(deciders))


def _applies(asked: Asked, policy: Mapping[str, Any]) -> bool:
    return (
        _any_matches(policy["actions"], asked.action)
        and _any_matches(policy["subjects"], asked.subject)
        and _any_matches(policy["resources"], asked.resource)
        and all(
            CONDITIONS[condition["type"]](condition.get("options") or {}, asked.context.get(key), asked)
            for key, condition in policy["conditions"].items()
        )
    )


def _any_matches(templates: Iterable[str] | None, value: str) -> bool:
    return any(
        compiled(template).fullmatch(value) is not None if "<" in template else template == value
        for template in templates or ()
    )


@lru_cache(maxsize=4096)
def compiled(template: str) -> re.Pattern[str]:
    """`res:<.*>` as a regular expression; text outside <...> is literal. Raises PatternError."""
    parts: list[str] = []
    depth = start = 0
    for position, letter in enumerate(template):
        if letter == "<":
            if depth == 0:
                parts.append(re.escape(template[start:position]))
                start = position + 1
            depth += 1
        elif letter == ">":
            depth -= 1
            if depth < 0:
                break
            if depth == 0:
                parts.append(f"({template[start:position]})")
                start = position + 1
    if depth != 0:
        raise PatternError(f'Unbalanced braces in "{template}"')
    parts.append(re.escape(template[start:]))
    try:
        return re.compile("".join(parts))
    except re.error as error:
        raise PatternError(f'error parsing regexp in "{template}": {error}') from error


def to_json(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a policy from the request to the stored form: all fields present, and the policy's name as id.

    Raises CodedError: BIND if a field has a wrong type or a condition is unknown, VALIDATION for an unknown effect.
    """
    effect = given.get("effect") or "deny"
    if effect not in {"allow", "deny"}:
        raise CodedError(VALIDATION, f"effect {effect!r} must be allow or deny")
    return {
        "id": name,
        "description": str(given.get("description") or ""),
        "subjects": _strings(given, "subjects"),
        "effect": effect,
        "resources": _strings(given, "resources"),
        "actions": _strings(given, "actions"),
        "conditions": _conditions(given),
        "meta": given.get("meta"),
    }


def _strings(given: Mapping[str, Any], key: str) -> list[str] | None:
    value = given.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise CodedError(BIND, f"policy.{key} is {value!r}, must be a list of strings")
    return value


def _conditions(given: Mapping[str, Any]) -> dict[str, Any]:
    value = given.get("conditions") or {}
    if not isinstance(value, dict):
        raise CodedError(BIND, f"policy.conditions is {value!r}, must be an object")
    for key, condition in value.items():
        if not isinstance(condition, dict) or condition.get("type") not in CONDITIONS:
            raise CodedError(BIND, f"policy.conditions.{key}: unknown type; known are {', '.join(CONDITIONS)}")
    return value
