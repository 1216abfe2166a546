"""Calls of the monitor API, and the conversion of names in its structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from localcloud.providers.tencentcloud.api import Api
from localcloud.providers.values import Properties

# A parameter of every action.
MODULE: Final = {"Module": "monitor"}


def call(api: Api, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return api.call("monitor", action, {**MODULE, **parameters})


def to_api(values: Mapping[str, Any], names: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Convert a structure to the names of the API; `names` maps the names of Pulumi to those of the API."""
    return {key: values[name] for name, key in names if values.get(name) is not None}


def from_api(values: Mapping[str, Any], names: Sequence[tuple[str, str]]) -> Properties:
    """Convert a structure to the names of Pulumi, without absent values."""
    return {name: values[key] for name, key in names if values.get(key)}
