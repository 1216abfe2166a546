"""Settings to start from, and ways to change one value of them."""

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
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4jd2fBO9T1nJ0Z3ZQf0mXU3d8T5l5n1yqB2YV3c0aa somebody"

# Databases of somebody's own, and their passwords.
EXTERNAL = {"location": "external", "mariadbAddress": "10.0.9.1:3306", "redisAddress": "10.0.9.2:6379"}
GIVEN = {"mariadbPassword": "given-mariadb-password", "redisPassword": "given-redis-password"}


def sections(stack: str = "local") -> dict[str, Any]:
    """A ready stack's values below `tandem:`."""
    return {key.partition(":")[2]: value for key, value in stack_config(stack).items() if key.startswith("tandem:")}


def with_value(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one value set ("nodes.members.0.name"), or taken out with ABSENT."""
    changed = copy.deepcopy(values)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    holder: Any = changed
    for part in way:
        holder = holder[part] if isinstance(part, int) else holder.setdefault(part, {})
    if value is ABSENT:
        holder.pop(last, None)
    else:
        holder[last] = value
    return changed


def with_values(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    for path, value in changes.items():
        values = with_value(values, path, value)
    return values


def parse(
    values: dict[str, Any], region: str | None = "ap-guangzhou", secret: frozenset[str] = frozenset()
) -> Settings:
    return load.parse(Stack("tandem", "local", region), values, secret, find_release=lambda _: RELEASE)


def problems_of(
    values: dict[str, Any], region: str | None = "ap-guangzhou", secret: frozenset[str] = frozenset()
) -> tuple[Problem, ...]:
    """What is wrong with these values; nothing, if they are right."""
    try:
        parse(values, region, secret)
    except SettingsError as error:
        return error.problems
    return ()
