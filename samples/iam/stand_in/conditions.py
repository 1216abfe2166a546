"""An authorization request, and the conditions of a policy on it.

A condition is a function (options of the policy, value in the request's context, request) -> fulfilled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: may `subject` perform `action` on `resource`?"""

    subject: str = ""
    action: str = ""
    resource: str = ""
    context: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_json(self) -> dict[str, Any]:
        return {
            "resource": self.resource,
            "action": self.action,
            "subject": self.subject,
            "context": dict(self.context),
        }


def _string_equal(options: Mapping[str, Any], value: Any, _: Asked) -> bool:
    return isinstance(value, str) and value == options.get("equals")


def _string_match(options: Mapping[str, Any], value: Any, _: Asked) -> bool:
    return isinstance(value, str) and re.search(options.get("matches", ""), value) is not None


def _string_pairs_equal(_options: Mapping[str, Any], value: Any, _: Asked) -> bool:
    if not isinstance(value, list):
        return False
    return all(
        isinstance(pair, list)
        and len(pair) == 2  # noqa: PLR2004 - a pair
        and all(isinstance(item, str) for item in pair)
        and pair[0] == pair[1]
        for pair in value
    )


def _cidr(options: Mapping[str, Any], value: Any, _: Asked) -> bool:
    try:
        return isinstance(value, str) and ip_address(value) in ip_network(options.get("cidr", ""), strict=False)
    except ValueError:
        return False


def _equals_subject(_options: Mapping[str, Any], value: Any, asked: Asked) -> bool:
    return isinstance(value, str) and value == asked.subject


def _resource_contains(_options: Mapping[str, Any], value: Any, asked: Asked) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("value"), str):
        return False
    delimiter = value.get("delimiter", "")
    return f"{delimiter}{value['value']}{delimiter}" in f"{delimiter}{asked.resource}{delimiter}"


def _boolean(options: Mapping[str, Any], value: Any, _: Asked) -> bool:
    return isinstance(value, bool) and value == options.get("value")


CONDITIONS: dict[str, Callable[[Mapping[str, Any], Any, Asked], bool]] = {
    "StringEqualCondition": _string_equal,
    "StringMatchCondition": _string_match,
    "StringPairsEqualCondition": _string_pairs_equal,
    "CIDRCondition": _cidr,
    "EqualsSubjectCondition": _equals_subject,
    "ResourceContainsCondition": _resource_contains,
    "BooleanCondition": _boolean,
}
