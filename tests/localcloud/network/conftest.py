"""One lab for all tests of this package: the machines boot once."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from .lab import Lab


@pytest.fixture(scope="session")
def booted() -> Generator[Lab]:
    made = Lab()
    try:
        made.open()
        for name in ("ann", "bob", "cat", "dan", "eve"):
            made.serve(name, 80)
            made.serve(name, 8080)
            made.serve(name, 5353, udp=True)
        yield made
    finally:
        made.close()


@pytest.fixture
def lab(booted: Lab) -> Lab:
    """The lab in its initial state for every test: open groups, the HAVIP held by ann."""
    booted.configure()
    for name in ("ann", "bob"):
        booted.release(name)
    booted.announce("ann")
    return booted
