"""Calls of the monitor API, and the two names of what is in its structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.providers.tencentcloud.api import Api
from localcloud.providers.values import Properties


def call(api: Api, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return api.call("monitor", action, {"Module": "monitor", **parameters})


def to_api(values: Mapping[str, Any], names: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A structure under the API's names; `names` pairs Pulumi's with the API's."""
    return {key: values[name] for name, key in names if values.get(name) is not None}


def from_api(values: Mapping[str, Any], names: Sequence[tuple[str, str]]) -> Properties:
    """A structure under Pulumi's names, without what has no value."""
    return {name: values[key] for name, key in names if values.get(key)}
