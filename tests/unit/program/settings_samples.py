"""Valid settings, and functions that change single values."""

from __future__ import annotations

import copy
from typing import Any

from fake_cloud import stack_config

from settings import load
from settings.load import Stack
from settings.problems import Problem, SettingsError
from settings.releases import Release
from settings.sections import Settings

ABSENT = object()
RELEASE = Release(source="iam.tar.gz", sha256="0" * 64)
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4jd2fBO9T1nJ0Z3ZQf0mXU3d8T5l5n1yqB2YV3c0aa alice"

# External databases and their passwords.
EXTERNAL = {"location": "external", "mariadbAddress": "10.0.9.1:3306", "redisAddress": "10.0.9.2:6379"}
GIVEN = {"mariadbPassword": "given-mariadb-password", "redisPassword": "given-redis-password"}


def sections(stack: str = "local") -> dict[str, Any]:
    """Return the settings of a provided stack, without the prefix `tandem:`."""
    return {key.partition(":")[2]: value for key, value in stack_config(stack).items() if key.startswith("tandem:")}


def with_value(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy with the value at a path ("nodes.members.0.name") set, or removed with ABSENT."""
    changed = copy.deepcopy(values)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    parent: Any = changed
    for part in parents:
        parent = parent[part] if isinstance(part, int) else parent.setdefault(part, {})
    if value is ABSENT:
        parent.pop(last, None)
    else:
        parent[last] = value
    return changed


def with_values(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    for path, value in changes.items():
        values = with_value(values, path, value)
    return values


def parse(
    values: dict[str, Any], region: str | None = "ap-guangzhou", encrypted_sections: frozenset[str] = frozenset()
) -> Settings:
    return load.parse(Stack("tandem", "local", region), values, encrypted_sections, find_release=lambda _: RELEASE)


def problems_of(
    values: dict[str, Any], region: str | None = "ap-guangzhou", encrypted_sections: frozenset[str] = frozenset()
) -> tuple[Problem, ...]:
    """Return the problems of the values; an empty tuple if they are valid."""
    try:
        parse(values, region, encrypted_sections)
    except SettingsError as error:
        return error.problems
    return ()
