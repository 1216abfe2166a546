"""Parses the raw configuration of a stack into models, and converts pydantic's errors into readable problems."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from settings.problems import Problem
from settings.schema import find_field, find_model, is_secret, known_keys

UNKNOWN_KEY = "is not a known key"
# Begins a reference to a secret of the stack in a file (provisioning/placeholders.py).
_PLACEHOLDER = "@@secret:"
_MAX_VALUE_LENGTH = 60
# pydantic's messages: "Input should be 'none' or 'nat'", "Tuple should have at least 2 items after validation, not 1".
_SUBJECT = re.compile(r"^(Input|String|Tuple|List|Dictionary|Value) should ")
_AFTER_VALIDATION = re.compile(r" after validation, not \d+$")
_PLAIN_KEY = re.compile(r"[\w:./-]+")


@dataclass(frozen=True, slots=True)
class Parsed:
    """The valid sections, and the problems of all others."""

    sections: dict[str, Any]  # by the field's Python name
    problems: tuple[Problem, ...]


def parse_sections(model: type[BaseModel], raw: Mapping[str, object], namespace: str) -> Parsed:
    """Parse each section of `model` separately, so an invalid one does not hide the problems of the others."""
    sections: dict[str, Any] = {}
    problems = [
        Problem(_key(namespace, [key]), _unknown_text(key, known_keys(model)))
        for key in sorted(raw.keys() - known_keys(model).keys())
    ]
    problems += _find_placeholders(namespace, raw)
    for name, field in model.model_fields.items():
        alias = field.alias or name
        if alias not in raw and not field.is_required():
            sections[name] = field.get_default(call_default_factory=True)
            continue
        # A missing section is parsed as an empty one: the report then names each required key.
        value = raw.get(alias, {} if find_model(field.annotation) else None)
        adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", field.annotation))
        try:
            sections[name] = adapter.validate_python(value)
        except ValidationError as error:
            details = _without_consequences(error.errors(include_url=False))
            problems.extend(_problem(model, alias, value, detail, namespace) for detail in details)
    return Parsed(sections, _once_per_key(problems))


def _find_placeholders(namespace: str, raw: Mapping[str, object]) -> Iterator[Problem]:
    """A value that ends up in a file, such as the response of a site, would contain the secret there."""

    def find(key: str, value: object) -> Iterator[Problem]:
        entries: Iterable[tuple[str | int, object]] = ()
        if isinstance(value, dict):
            entries = cast("dict[str, object]", value).items()
        elif isinstance(value, list):
            entries = enumerate(cast("list[object]", value))
        elif isinstance(value, str) and _PLACEHOLDER in value:
            yield Problem(key, f"cannot contain {_PLACEHOLDER}; write ${{secret.NAME}} for a secret of a service")
        for part, each in entries:
            yield from find(key_below(key, part), each)

    for section, value in raw.items():
        yield from find(_key(namespace, [section]), value)


def _without_consequences(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out that a list is too short if one of its entries is invalid: only the valid ones were counted."""
    locations = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(len(each) > len(detail["loc"]) and each[: len(detail["loc"])] == detail["loc"] for each in locations)
    ]


def _problem(model: type[BaseModel], section: str, value: object, detail: ErrorDetails, namespace: str) -> Problem:
    path = (section, *_path_in_value(value, detail["loc"], detail["type"]))
    return Problem(_key(namespace, path), _text(model, path, detail))


def _path_in_value(value: object, location: Sequence[str | int], kind: str) -> tuple[str | int, ...]:
    """Return the part of an error's location that exists in the stack's file, without the names of union members."""
    path: list[str | int] = []
    current = value
    for part in location:
        if isinstance(part, int) and isinstance(current, list) and part < len(cast("list[object]", current)):
            current = cast("list[object]", current)[part]
        elif isinstance(part, str) and isinstance(current, dict) and part in (texts := _by_text(current)):
            current = texts[part]
        elif kind == "missing" and part == location[-1]:
            pass
        else:
            continue
        path.append(part)
    return tuple(path)


def _by_text(mapping: dict[Any, object]) -> dict[str, object]:
    """YAML parses the key 404 as a number, which models convert to text."""
    return {str(key): value for key, value in mapping.items()}


def _key(namespace: str, path: Sequence[str | int]) -> str:
    text = f"{namespace}:{path[0] if _PLAIN_KEY.fullmatch(str(path[0])) else repr(path[0])}"
    for part in path[1:]:
        text = key_below(text, part)
    return text


def key_below(key: str, part: str | int) -> str:
    """The key of an entry of the mapping or list at `key`, as in problems."""
    return f"{key}.{part}" if isinstance(part, str) and _PLAIN_KEY.fullmatch(part) else f"{key}[{part!r}]"


def _text(model: type[BaseModel], path: Sequence[str | int], detail: ErrorDetails) -> str:
    field = find_field(model, path)
    description = f": {_sentence(field.description)}" if field is not None and field.description else ""
    if detail["type"] == "missing":
        return f"is required{description}"
    if detail["type"] == "extra_forbidden":
        parent = _parent_model(model, path)
        return _unknown_text(str(path[-1]), known_keys(parent) if parent is not None else {})
    if detail["type"] == "value_error":
        # The messages of the models' own validators are complete.
        return str(detail.get("ctx", {}).get("error", detail["msg"]))
    got = "a secret, not shown" if is_secret(field) else _shown(detail["input"])
    if detail["type"] == "string_pattern_mismatch":
        return f"has an invalid format (got {got}){description}"
    if detail["input"] is None or detail["input"] == {}:
        return f"is required{description}"
    return f"{_requirement(detail['msg'])} (got {got}){description}"


def _requirement(message: str) -> str:
    """Convert "Input should be ..." to "must be ...", and "Input is not ..." to "is not ..."."""
    text = _AFTER_VALIDATION.sub("", _SUBJECT.sub("must ", message)).removeprefix("Input ")
    return _lower(text)


def _parent_model(model: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel] | None:
    """Return the model that should define the last key of a path."""
    above = find_field(model, path[:-1])
    return find_model(above.annotation) if above is not None else None


def _unknown_text(key: str, known: Mapping[str, object]) -> str:
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if not nearest:
        nearest = [name for name in known if name.lower() == key.replace("_", "").replace("-", "").lower()]
    if nearest:
        return f"{UNKNOWN_KEY}; did you mean {nearest[0]}?"
    return f"{UNKNOWN_KEY}; known keys: {', '.join(known) or 'none'}"


def _once_per_key(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Keep one problem per key: a union reports one error for each member, and the last member is the most general."""
    return tuple({problem.key: problem for problem in problems}.values())


def _shown(value: object) -> str:
    text = value if isinstance(value, str) and value else repr(value)
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[:_MAX_VALUE_LENGTH]}..."


def _sentence(description: str) -> str:
    return _lower(description.rstrip("."))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
