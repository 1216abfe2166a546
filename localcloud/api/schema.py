"""Types of requests and responses, read from the source text of the official SDK's models.

Importing `tencentcloud.vpc.v20170312.models` takes most of a second; extracting a class from the file's text takes a
millisecond. Every model documents the types of its members in the docstring of `__init__`, and only that is read.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

Kind = Literal["string", "integer", "float", "boolean", "object"]

_KINDS: dict[str, Kind] = {"str": "string", "int": "integer", "float": "float", "bool": "boolean"}
_CLASS = re.compile(r"^class (\w+)\(AbstractModel\):", re.MULTILINE)
_MEMBER = re.compile(r"^        :type (\w+): (.+)$", re.MULTILINE)
_MODEL = re.compile(r":class:`.*\.(\w+)`")


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    kind: Kind
    many: bool
    model: str  # type name of an object; else ""


class Schema:
    """The models of one service."""

    def __init__(self, service: str, version: str) -> None:
        self.service = service
        self.version = version
        self._members: dict[str, Mapping[str, Member]] = {}

    @cached_property
    def _text(self) -> str:
        package = f"tencentcloud.{self.service}.v{self.version.replace('-', '')}"
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(
                f"{package} is not installed: the extra `localcloud` requires tencentcloud-sdk-python"
            )
        return (Path(spec.origin).parent / "models.py").read_text(encoding="utf-8")

    @cached_property
    def _places(self) -> Mapping[str, tuple[int, int]]:
        starts = [(match[1], match.start()) for match in _CLASS.finditer(self._text)]
        ends = [start for _, start in starts[1:]] + [len(self._text)]
        return {name: (start, end) for (name, start), end in zip(starts, ends, strict=True)}

    def has(self, model: str) -> bool:
        return model in self._places

    def members(self, model: str) -> Mapping[str, Member]:
        """Return the model's fields by name. Raises KeyError for an unknown model."""
        known = self._members.get(model)
        if known is None:
            known = self._members[model] = self._read(model)
        return known

    def _read(self, model: str) -> Mapping[str, Member]:
        start, end = self._places[model]
        body = self._text[start:end]
        # The later docstrings belong to the properties.
        heading = body.partition("        self._")[0]
        return {name: _member(name, text) for name, text in _MEMBER.findall(heading)}


def _member(name: str, text: str) -> Member:
    words = text.removesuffix("non-negative").strip()
    many = words.startswith("list of ")
    words = words.removeprefix("list of ")
    model = _MODEL.search(words)
    if words in _KINDS:
        return Member(name, _KINDS[words], many, "")
    return Member(name, "object", many, model[1] if model else words)


@cache
def schema(service: str, version: str) -> Schema:
    return Schema(service, version)
