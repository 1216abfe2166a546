"""Check requests and responses against the SDK's models.

- `parameters_of_query`: a GET request flattens its parameters into the query, `Filters.0.Values.1=x`; this nests them
  as in a POST.
- `check_parameters`: names and types against the request's model.
- `complete_answer`: adds every member of the response's model that a handler left out. The provider reads most of them
  without a check, and a missing one ends its process (observed with version 1.82.42). Strings become "", numbers 0,
  flags false, lists []; objects stay null, because an empty object means something else.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

from localcloud.api.schema import Member, Schema
from localcloud.rules.refusal import UnknownParameter, WrongType

_LARGEST = 2**63 - 1
_NOTHING: dict[str, Any] = {"string": "", "integer": 0, "float": 0.0, "boolean": False, "object": None}


def parameters_of_query(schema: Schema, model: str, query: str) -> dict[str, Any]:
    """Return the parameters nested as in a POST. Raises UnknownParameter or WrongType."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parts = name.split(".")
        at = tree
        for part in parts[:-1]:
            below = at.setdefault(part, {})
            if not isinstance(below, dict):
                raise WrongType(name=name, expected="a plain value")
            at = below
        at[parts[-1]] = value
    return _query_object(schema, model, tree, "")


def _query_object(schema: Schema, model: str, tree: dict[str, Any], path: str) -> dict[str, Any]:
    members = schema.members(model)
    shaped: dict[str, Any] = {}
    for name, value in tree.items():
        if name not in members:
            raise UnknownParameter(name=path + name)
        member = members[name]
        shaped[name] = (
            _query_list(schema, member, value, path + name)
            if member.many
            else _query_value(schema, member, value, path + name)
        )
    return shaped


def _query_list(schema: Schema, member: Member, value: Any, path: str) -> list[Any]:
    entries = cast("dict[str, Any]", value) if isinstance(value, dict) else {"?": None}
    if not all(index.isdigit() for index in entries):
        raise WrongType(name=path, expected="a list")
    return [_query_value(schema, member, entries[index], f"{path}.{index}") for index in sorted(entries, key=int)]


def _query_value(schema: Schema, member: Member, value: Any, path: str) -> Any:
    if member.kind == "object":
        if not isinstance(value, dict):
            raise WrongType(name=path, expected="an object")
        return _query_object(schema, member.model, cast("dict[str, Any]", value), f"{path}.")
    if not isinstance(value, str):
        raise WrongType(name=path, expected=f"a {member.kind}")
    try:
        match member.kind:
            case "integer":
                return int(value)
            case "float":
                return float(value)
            case "boolean":
                return {"true": True, "false": False}[value.lower()]
            case _:
                return value
    except (ValueError, KeyError):
        raise WrongType(name=path, expected=f"a {member.kind}") from None


def check_parameters(schema: Schema, model: str, given: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return the parameters without nulls. Raises UnknownParameter or WrongType."""
    members = schema.members(model)
    checked: dict[str, Any] = {}
    for name, value in given.items():
        member = members.get(name)
        if member is None:
            raise UnknownParameter(name=path + name)
        if value is not None:
            checked[name] = _check_member(schema, member, value, path + name)
    return checked


def _check_member(schema: Schema, member: Member, value: Any, path: str) -> Any:
    if not member.many:
        return _check_value(schema, member, value, path)
    if not isinstance(value, list):
        raise WrongType(name=path, expected="a list")
    entries = cast("list[Any]", value)
    return [_check_value(schema, member, entry, f"{path}.{index}") for index, entry in enumerate(entries)]


def _check_value(schema: Schema, member: Member, value: Any, path: str) -> Any:
    match member.kind:
        case "object":
            if not isinstance(value, dict):
                raise WrongType(name=path, expected="an object")
            if not schema.has(member.model):
                return cast("dict[str, Any]", value)
            return check_parameters(schema, member.model, cast("dict[str, Any]", value), f"{path}.")
        case "string" if not isinstance(value, str):
            raise WrongType(name=path, expected="a string")
        case "boolean" if not isinstance(value, bool):
            raise WrongType(name=path, expected="a boolean")
        case "integer" if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LARGEST:
            raise WrongType(name=path, expected="an integer")
        case "float" if isinstance(value, bool) or not isinstance(value, int | float):
            raise WrongType(name=path, expected="a number")
        case _:
            return value


def complete_answer(schema: Schema, model: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer with exactly the model's members (an older SDK may lack one; tests fail then)."""
    members = schema.members(model)
    for name in answer:
        if name not in members:
            warnings.warn(f"{schema.service} {model} has no member {name}", stacklevel=2)
    return {name: _answer_value(schema, member, answer.get(name, ...)) for name, member in members.items()}


def _answer_value(schema: Schema, member: Member, given: Any) -> Any:
    if given is ...:
        return [] if member.many else _NOTHING[member.kind]
    if member.kind != "object" or given is None or not schema.has(member.model):
        return given
    if member.many:
        return [complete_answer(schema, member.model, entry) for entry in cast("list[dict[str, Any]]", given)]
    return complete_answer(schema, member.model, given)
