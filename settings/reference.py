"""Generates docs/settings.md: all keys of a stack's file with type, default and description.

python -m settings.reference > docs/settings.md
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from settings.schema import find_model, is_mapping, known_keys
from settings.sections import Sections

_HEAD = """# Settings of a stack

This page is generated from the models in `settings/` with `python -m settings.reference`.

The settings of a stack are in `stacks/Pulumi.STACK.yaml`. Start with a copy of `local`, `staging` or `prod`. You must
set `tencentcloud:region` and, below `tandem:`, `network.zone`, `nodes.image`, `access.adminCidrs`, `domains.api` and
`domains.authz`. All other keys have a default. The program validates all settings before it declares any resource; if
values are invalid, it lists all problems and exits with code 1. Set secrets with
`pulumi config set --secret --stack STACK --path tandem:SECTION.KEY`; Pulumi asks for the value. Below, `--secret`
stands for this command.
"""
_TYPE_NAMES: dict[Any, str] = {
    str: "string",
    int: "integer",
    bool: "boolean",
    IPv4Address: "IPv4 address",
    IPv4Network: "IPv4 network",
    SecretStr: "secret string",
}


def render_reference() -> str:
    """Return the page as Markdown."""
    parts = [_HEAD]
    plain: list[str] = []
    for key, field in known_keys(Sections).items():
        model = find_model(field.annotation)
        if model is None:
            plain.append(_row(key, field))
        else:
            prefix = _part_of(field.annotation).removeprefix(".")
            parts.append(f"## `tandem:{key}`\n\n{field.description or ''}\n\n{_table(_rows(model, prefix))}")
    parts.append(f"## Other keys\n\n{_table(plain)}")
    return "\n".join(parts)


def _table(rows: list[str] | Iterator[str]) -> str:
    head = "| Key | Type | Default | Description |\n| --- | --- | --- | --- |"
    return "\n".join([head, *rows]) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for key, field in known_keys(model).items():
        yield _row(f"{prefix}{key}", field)
        inner = find_model(field.annotation)
        if inner is not None:
            yield from _rows(inner, f"{prefix}{key}{_part_of(field.annotation)}")


def _part_of(annotation: Any) -> str:
    """Return what is between the key of a field and the keys of the models in it."""
    if is_mapping(annotation):
        return ".NAME."
    return "[]." if _is_list(annotation) else "."


def _row(key: str, field: FieldInfo) -> str:
    described = (field.description or "").replace("|", "\\|")
    kind = _type_name(field.annotation) + _limits(field)
    return f"| `{key}` | {kind} | {_default(field)} | {described} |"


def _type_name(annotation: Any) -> str:
    if annotation in _TYPE_NAMES:
        return _TYPE_NAMES[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(inner[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in {Union, types.UnionType}:
        return " or ".join(_type_name(each) for each in inner if each is not type(None))
    if origin is tuple:
        return f"list of {_type_name(inner[0])}"
    if origin is dict:
        return f"mapping of {_type_name(inner[0])} to {_type_name(inner[1])}"
    return "object"


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is tuple


def _limits(field: FieldInfo) -> str:
    """Return the bounds as text. Patterns are left out: the description explains the format."""
    found: dict[str, Any] = {}
    for constraint in field.metadata:
        for name in ("ge", "le", "min_length", "max_length", "multiple_of"):
            if getattr(constraint, name, None) is not None:
                found[name] = getattr(constraint, name)
    limits = []
    if "ge" in found or "le" in found:
        limits.append(f"{found.get('ge', '...')} to {found['le']}" if "le" in found else f"{found['ge']} or more")
    if "min_length" in found or "max_length" in found:
        unit = "" if _is_list(field.annotation) else " characters"
        minimum, maximum = found.get("min_length", 0), found.get("max_length")
        limits.append(f"{minimum} to {maximum}{unit}" if maximum is not None else f"{minimum} or more{unit}")
    return f", {', '.join(limits)}" if limits else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if find_model(field.annotation) is not None and not _is_list(field.annotation):
        return "unset" if value is None else ""
    if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        shown = ", ".join(
            str({key: str(each) for key, each in item.model_dump(exclude_none=True).items()}) for item in value
        )
        return shown.replace("'", "`")
    if value is None or value in ((), {}, ""):
        return "unset"
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(render_reference())
