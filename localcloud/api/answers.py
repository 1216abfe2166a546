"""Answers made whole: every member that the SDK's response model names is there.

The provider reads most of them without looking whether they are there, and a missing one ends its process
(shared/reference/provider-api.md). So strings become "", numbers 0, flags false, lists [] where a handler says
nothing; objects stay null, because an empty object would say more than nothing.
"""

from __future__ import annotations

import warnings
from typing import Any, cast

from localcloud.services.schema import Member, Schema

_NOTHING: dict[str, Any] = {"string": "", "integer": 0, "float": 0.0, "boolean": False, "object": None}


def complete(schema: Schema, model: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with every member of the model, and no other (an older SDK may not know one; tests fail then)."""
    members = schema.members(model)
    for name in answer:
        if name not in members:
            warnings.warn(f"{schema.service} {model} has no member {name}", stacklevel=2)
    return {name: _value(schema, member, answer.get(name, ...)) for name, member in members.items()}


def _value(schema: Schema, member: Member, given: Any) -> Any:
    if given is ...:
        return [] if member.many else _NOTHING[member.kind]
    if member.kind != "object" or given is None or not schema.has(member.model):
        return given
    if member.many:
        return [complete(schema, member.model, entry) for entry in cast("list[dict[str, Any]]", given)]
    return complete(schema, member.model, given)
