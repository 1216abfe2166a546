"""Rollouts at the full rates: healthz 200/s, decisions and secrets 50/s each, logins 2/s. Prints the figures.

Needs an idle host: on a busy one the load itself is late.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.network.names import CLIENT_ADDRESS, MORE_CLIENTS
from samples.iam.build import members
from settings.archives import pack
from tests.end_to_end.conftest import NAME
from tests.end_to_end.group import Group, drain_windows, under_load
from tests.end_to_end.lab import new_cloud
from tests.end_to_end.settings import write_settings

pytestmark = [pytest.mark.root, pytest.mark.long]

# Each is added to those before it: every `up` makes one change.
CHANGES: dict[str, dict[str, Any]] = {
    "nginx": {"nginx": {"keepaliveTimeoutS": 30}},
    "keepalived": {"keepalived": {"drainS": 3}},
    "iam": {"iam": {"tokenLifetimeS": 3600}},
    "release": {"iam": {"release": "another"}},
    **{
        secret: {"credentials": {"generation": {secret: 2}}}
        for secret in (
            "mariadbPassword", "redisPassword", "healthPassword", "nodeCertificates", "serverCertificate",
            "deploymentKey", "adminPassword", "jwtKey",
        )
    },
}  # fmt: skip
# Requests that use a value of which only one is valid at a time.
_AFFECTED = {"jwtKey": {"secrets"}, "adminPassword": {"login", "secrets"}}
CLIENTS = tuple(map(str, (CLIENT_ADDRESS, *MORE_CLIENTS)))


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """A group on a separate cloud: generations cannot be reduced for other tests."""
    with new_cloud(f"{NAME}l") as lab:
        group = Group(lab, write_settings(tmp_path_factory.mktemp("settings") / "first.yaml"))
        group.up()
        yield group


@pytest.fixture(scope="module")
def applied() -> dict[str, dict[str, Any]]:
    """The sections of the settings that have changed so far."""
    return {}


def add(applied: dict[str, dict[str, Any]], change: dict[str, Any]) -> None:
    for section, values in change.items():
        before = applied.get(section, {})
        merged = {**before, **values}
        if "generation" in values:
            merged["generation"] = {**before.get("generation", {}), **values["generation"]}
        applied[section] = merged


def another_release(folder: Path) -> str:
    """The stand-in with another version. Returns its path."""
    path = folder / "another.tar.gz"
    path.write_bytes(pack([*(each for each in members() if each[0] != "VERSION"), ("VERSION", b"another\n", 0o644)]))
    return str(path)


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_is_lost_that_began_outside_the_drain(
    group: Group, applied: dict[str, dict[str, Any]], tmp_path: Path, name: str
) -> None:
    add(applied, CHANGES[name])
    if name == "release":
        applied["iam"]["release"] = another_release(tmp_path)
    with under_load(group.lab, tmp_path, scale=1, sources=CLIENTS) as result:
        group.settings = write_settings(tmp_path / "changed.yaml", **applied)
        group.up()
    print(name, result.summary())
    outside = result.outside(drain_windows(group.lab))
    streams = [stream for stream in result.streams() if stream not in _AFFECTED.get(name, set())]
    assert outside.lost(*streams) == [], result.summary()
