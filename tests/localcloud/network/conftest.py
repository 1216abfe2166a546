"""One lab for all tests here: machines boot once."""

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
    """The lab as every test finds it: open doors, the HAVIP with ann."""
    booted.wish()
    for name in ("ann", "bob"):
        booted.release(name)
    booted.announce("ann")
    return booted
