"""Finds one's way through the settings models: the field behind a path, the keys that a model knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo


def find_field(model: type[BaseModel], path: Sequence[str | int]) -> FieldInfo | None:
    """The field that a path of outside names (camelCase, list positions) leads to."""
    current: type[BaseModel] | None = model
    found: FieldInfo | None = None
    for part in path:
        if isinstance(part, int):
            continue
        if current is None:
            # Below a plain mapping or value there are no fields: what holds them describes them.
            return found
        found = known_keys(current).get(part)
        if found is None:
            return None
        current = find_model(found.annotation)
    return found


def find_model(annotation: Any) -> type[BaseModel] | None:
    """The model inside a field's type: in an optional, a tuple, or by itself."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        model = find_model(inner)
        if model is not None:
            return model
    return None


def known_keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the names that a stack's file uses."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def is_secret(field: FieldInfo | None) -> bool:
    """Whether the value may never be shown."""
    return field is not None and _mentions_secret(field.annotation)


def _mentions_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_mentions_secret(inner) for inner in get_args(annotation))
