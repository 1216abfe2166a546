from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud import services
from localcloud.services.actions import ACTIONS, VERSIONS
from tests.localcloud.api.lab import Direct, Server, running_cloud, serving
from tests.localcloud.api.place import Place

services.load()


@pytest.fixture
def call() -> Iterator[Direct]:
    """A fresh cloud, called without HTTP."""
    with running_cloud() as cloud:
        yield Direct(cloud)


@pytest.fixture
def place(call: Direct) -> Place:
    """A VPC with a subnet and a security group in that cloud."""
    return Place.build(call)


@pytest.fixture
def server() -> Iterator[Server]:
    """A fresh cloud behind HTTP, without a throttle."""
    with running_cloud() as cloud, serving(cloud) as running:
        yield running


@pytest.fixture(scope="session")
def required_members() -> dict[tuple[str, str], list[str]]:
    """The required parameters of each emulated action, according to the official command line's copy of the actions'
    pages.
    """
    required: dict[tuple[str, str], list[str]] = {}
    spec = importlib.util.find_spec("tccli")
    assert spec is not None
    assert spec.origin is not None
    for service in VERSIONS:
        version = f"v{VERSIONS[service].replace('-', '')}"
        path = Path(spec.origin).parent / "services" / service / version / "api.json"
        page = json.loads(path.read_text(encoding="utf-8"))
        for at, name in ACTIONS:
            if at == service:
                members = page["objects"][page["actions"][name]["input"]]["members"]
                required[service, name] = [member["name"] for member in members if member["required"]]
    return required
