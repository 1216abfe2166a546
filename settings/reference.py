"""Writes docs/settings.md: every key of a stack's file, with type, default and what it is for.

python -m settings.reference > docs/settings.md
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from settings.schema import find_model, known_keys
from settings.sections import Sections

_HEAD = """# Settings of a stack

Generated from the models in `settings/` by `python -m settings.reference`; a test keeps it so.

A stack's file is `stacks/Pulumi.STACK.yaml`; `local`, `staging` and `prod` are there to start from. A stack needs
`tencentcloud:region`, and of what follows `network.zone`, `nodes.image`, `access.adminCidrs` and both `domains`;
everything else has a default. Wrong values are reported all at once, before anything is declared, and the program
ends with exit code 1. Secrets are set with `pulumi config set --secret --path tandem:SECTION.KEY`.
"""
_WORDS: dict[Any, str] = {
    str: "text",
    int: "number",
    bool: "true or false",
    IPv4Address: "IPv4 address",
    IPv4Network: "IPv4 network",
    SecretStr: "secret text",
    type(None): "none",
}


def render_reference() -> str:
    """The whole page."""
    parts = [_HEAD]
    plain: list[str] = []
    for key, field in known_keys(Sections).items():
        model = find_model(field.annotation)
        if model is None:
            plain.append(_row(key, field))
        else:
            parts.append(f"## `tandem:{key}`\n\n{field.description or ''}\n\n{_table(_rows(model, ''))}")
    parts.append(f"## Single keys\n\n{_table(plain)}")
    return "\n".join(parts)


def _table(rows: list[str] | Iterator[str]) -> str:
    head = "| key | is | default | what for |\n| --- | --- | --- | --- |"
    return "\n".join([head, *rows]) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for key, field in known_keys(model).items():
        yield _row(f"{prefix}{key}", field)
        inner = find_model(field.annotation)
        if inner is not None:
            many = "[]" if _is_list(field.annotation) else ""
            yield from _rows(inner, f"{prefix}{key}{many}.")


def _row(key: str, field: FieldInfo) -> str:
    described = (field.description or "").replace("|", "\\|")
    kind = _words(field.annotation) + _limits(field)
    return f"| `{key}` | {kind} | {_default(field)} | {described} |"


def _words(annotation: Any) -> str:
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(inner[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in {Union, types.UnionType}:
        return " or ".join(_words(each) for each in inner if each is not type(None))
    if origin is tuple:
        return f"list of {_words(inner[0])}"
    if origin is dict:
        return f"mapping of {_words(inner[0])} to {_words(inner[1])}"
    return "keys below"


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is tuple


def _limits(field: FieldInfo) -> str:
    """Bounds, in words. A pattern says less to a person than the description does."""
    found: dict[str, Any] = {}
    for constraint in field.metadata:
        for name in ("ge", "le", "min_length", "max_length", "multiple_of"):
            if getattr(constraint, name, None) is not None:
                found[name] = getattr(constraint, name)
    words = []
    if "ge" in found or "le" in found:
        words.append(f"{found.get('ge', '...')} to {found['le']}" if "le" in found else f"{found['ge']} or more")
    if "min_length" in found or "max_length" in found:
        unit = "" if _is_list(field.annotation) else " characters"
        least, most = found.get("min_length", 0), found.get("max_length")
        words.append(f"{least} to {most}{unit}" if most is not None else f"{least} or more{unit}")
    return f", {', '.join(words)}" if words else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    value = field.get_default(call_default_factory=True)
    if find_model(field.annotation) is not None and not _is_list(field.annotation):
        return "none" if value is None else ""
    if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        shown = ", ".join(
            str({key: str(each) for key, each in item.model_dump(exclude_none=True).items()}) for item in value
        )
        return shown.replace("'", "`")
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(render_reference())
