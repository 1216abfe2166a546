from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.localcloud.api.lab import Direct, Server, running_cloud, serving
from tests.localcloud.api.place import Place


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
