"""Looks up fields and keys of the settings models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo


def find_field(model: type[BaseModel], path: Sequence[str | int]) -> FieldInfo | None:
    """Return the field at a path of the stack's file (camelCase keys, list positions)."""
    current: type[BaseModel] | None = model
    found: FieldInfo | None = None
    named = False  # whether the next part is a key of a mapping of models
    for part in path:
        if named or isinstance(part, int):
            named = False
            continue
        if current is None:
            # Keys of a plain mapping have no fields: the mapping's field describes them.
            return found
        found = known_keys(current).get(part)
        if found is None:
            return None
        current = find_model(found.annotation)
        named = current is not None and is_mapping(found.annotation)
    return found


def is_mapping(annotation: Any) -> bool:
    """Whether a field's values are given by names that the user chooses."""
    return get_origin(annotation) is dict or any(is_mapping(inner) for inner in get_args(annotation))


def find_model(annotation: Any) -> type[BaseModel] | None:
    """Return the model in a field's type: the type, or a member of an optional or a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        model = find_model(inner)
        if model is not None:
            return model
    return None


def known_keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model by their keys in the stack's file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def is_secret(field: FieldInfo | None) -> bool:
    """Return whether the value must not be shown."""
    return field is not None and _mentions_secret(field.annotation)


def _mentions_secret(annotation: Any) -> bool:
    # Instead of a mapping with a secret, the secret itself may have been given.
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(_mentions_secret(field.annotation) for field in annotation.model_fields.values())
    return annotation is SecretStr or any(_mentions_secret(inner) for inner in get_args(annotation))
