"""Turns a stack's raw configuration into models, and pydantic's complaints into problems that a person can act on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from settings.problems import Problem
from settings.schema import find_field, find_model, is_secret, known_keys

_LONGEST_VALUE = 60
_PLAIN_KEY = re.compile(r"[\w:./-]+")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What could be read, section by section, and what could not."""

    sections: dict[str, Any]  # by the field's Python name
    problems: tuple[Problem, ...]


def parse_sections(model: type[BaseModel], raw: Mapping[str, object], namespace: str) -> Parsed:
    """Read each section of `model` by itself, so that a wrong one does not hide the problems of the others."""
    sections: dict[str, Any] = {}
    problems = [
        Problem(_key(namespace, [key]), _unknown_text(key, known_keys(model)))
        for key in sorted(raw.keys() - known_keys(model).keys())
    ]
    for name, field in model.model_fields.items():
        alias = field.alias or name
        if alias not in raw and not field.is_required():
            sections[name] = field.get_default(call_default_factory=True)
            continue
        # A section that is missing is read as an empty one: the report then names each key that it needs.
        value = raw.get(alias, {} if find_model(field.annotation) else None)
        adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", field.annotation))
        try:
            sections[name] = adapter.validate_python(value)
        except ValidationError as error:
            details = error.errors(include_url=False)
            problems.extend(_problem(model, alias, value, detail, namespace) for detail in details)
    return Parsed(sections, _once_per_key(problems))


def _problem(model: type[BaseModel], section: str, value: object, detail: ErrorDetails, namespace: str) -> Problem:
    path = (section, *_path_in_value(value, detail["loc"], detail["type"]))
    return Problem(_key(namespace, path), _text(model, path, detail))


def _path_in_value(value: object, location: Sequence[str | int], kind: str) -> tuple[str | int, ...]:
    """The part of an error's location that a person wrote; pydantic adds the alternatives of a union to it."""
    path: list[str | int] = []
    current = value
    for part in location:
        if isinstance(part, int) and isinstance(current, list) and part < len(cast("list[object]", current)):
            current = cast("list[object]", current)[part]
        elif isinstance(part, str) and isinstance(current, dict) and part in current:
            current = cast("dict[str, object]", current)[part]
        elif kind == "missing" and part == location[-1]:
            pass
        else:
            continue
        path.append(part)
    return tuple(path)


def _key(namespace: str, path: Sequence[str | int]) -> str:
    text = f"{namespace}:{path[0] if _PLAIN_KEY.fullmatch(str(path[0])) else repr(path[0])}"
    for part in path[1:]:
        plain = isinstance(part, str) and _PLAIN_KEY.fullmatch(part)
        text += f".{part}" if plain else f"[{part!r}]"
    return text


def _text(model: type[BaseModel], path: Sequence[str | int], detail: ErrorDetails) -> str:
    field = find_field(model, path)
    wanted = f"; what for: {_sentence(field.description)}" if field is not None and field.description else ""
    if detail["type"] == "missing":
        return f"is missing{wanted}"
    if detail["type"] == "extra_forbidden":
        model_above = _containing_model(model, path)
        return _unknown_text(str(path[-1]), known_keys(model_above) if model_above is not None else {})
    if detail["type"] == "value_error":
        # Our own validators say all that there is to say.
        return str(detail.get("ctx", {}).get("error", detail["msg"]))
    seen = "the value (a secret, not shown)" if is_secret(field) else _shown(detail["input"])
    if detail["type"] == "string_pattern_mismatch":
        return f"{seen} does not look right{wanted}"
    if detail["input"] is None or detail["input"] == {}:
        return f"is missing{wanted}"
    return f"{seen} is refused: {_lower(detail['msg'])}{wanted}"


def _containing_model(model: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel] | None:
    """The model in which the last key of a path stands."""
    above = find_field(model, path[:-1])
    return find_model(above.annotation) if above is not None else None


def _unknown_text(key: str, known: Mapping[str, object]) -> str:
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if not nearest:
        nearest = [name for name in known if name.lower() == key.replace("_", "").replace("-", "").lower()]
    if nearest:
        return f"is not a known key; did you mean {nearest[0]}?"
    return f"is not a known key; known are: {', '.join(known) or 'none'}"


def _once_per_key(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """One problem per key: a union complains once for each of its alternatives, the last one is the most general."""
    return tuple({problem.key: problem for problem in problems}.values())


def _shown(value: object) -> str:
    text = value if isinstance(value, str) and value else repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _sentence(description: str) -> str:
    return _lower(description.rstrip("."))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
