"""GET requests: parameters flattened into the query, `Filters.0.Values.1=x`."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import parse_qsl

from localcloud.rules.refusal import UnknownParameter, WrongType
from localcloud.services.schema import Member, Schema


def parameters_of_query(schema: Schema, model: str, query: str) -> dict[str, Any]:
    """The same parameters as a POST would carry them. Raises UnknownParameter or WrongType."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parts = name.split(".")
        at = tree
        for part in parts[:-1]:
            below = at.setdefault(part, {})
            if not isinstance(below, dict):
                raise WrongType(name=name, wanted="a plain value")
            at = below
        at[parts[-1]] = value
    return _object(schema, model, tree, "")


def _object(schema: Schema, model: str, tree: dict[str, Any], path: str) -> dict[str, Any]:
    members = schema.members(model)
    shaped: dict[str, Any] = {}
    for name, value in tree.items():
        if name not in members:
            raise UnknownParameter(name=path + name)
        member = members[name]
        shaped[name] = (
            _list(schema, member, value, path + name) if member.many else _value(schema, member, value, path + name)
        )
    return shaped


def _list(schema: Schema, member: Member, value: Any, path: str) -> list[Any]:
    entries = cast("dict[str, Any]", value) if isinstance(value, dict) else {"?": None}
    if not all(index.isdigit() for index in entries):
        raise WrongType(name=path, wanted="a list")
    return [_value(schema, member, entries[index], f"{path}.{index}") for index in sorted(entries, key=int)]


def _value(schema: Schema, member: Member, value: Any, path: str) -> Any:
    if member.kind == "object":
        if not isinstance(value, dict):
            raise WrongType(name=path, wanted="an object")
        return _object(schema, member.model, cast("dict[str, Any]", value), f"{path}.")
    if not isinstance(value, str):
        raise WrongType(name=path, wanted=f"a {member.kind}")
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
        raise WrongType(name=path, wanted=f"a {member.kind}") from None
