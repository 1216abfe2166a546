"""Two machines of one subnet, booted once for all tests of this package."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from network.lab import Lab


@pytest.fixture(scope="session")
def booted() -> Generator[Lab]:
    made = Lab(machines=("ann", "bob"))
    try:
        made.open()
        yield made
    finally:
        made.close()


@pytest.fixture
def lab(booted: Lab) -> Lab:
    """Both machines running, with the default network and servers on port 80."""
    booted.configure()
    for name in ("ann", "bob"):
        booted.ensure_running(name)
        booted.ensure_server(name, 80)
    return booted
