from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator

import pytest

from tests.end_to_end import host
from tests.end_to_end.lab import ROOT, Lab

# One for each checkout: two of them may be tested at once, and the next run clears away what a killed one left.
NAME = f"e2e{zlib.crc32(str(ROOT).encode()):08x}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The test of `down` takes away what the others stand on: it goes last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(scope="session")
def before() -> host.Traces:
    """The host as it was before any localcloud of ours."""
    return host.look(NAME)


@pytest.fixture(scope="session")
def lab(before: host.Traces) -> Iterator[Lab]:
    """A localcloud of its own; the image cache is shared with every other."""
    del before
    lab = Lab(NAME)
    lab.localcloud("down")
    shutil.rmtree(ROOT / ".tandem" / NAME, ignore_errors=True)
    lab.localcloud("up", timeout_s=900)
    yield lab
    lab.localcloud("down")


@pytest.fixture(scope="session")
def first_up(lab: Lab) -> str:
    """What `tandem up` prints on an empty cloud."""
    return lab.up()


@pytest.fixture
def deployed(lab: Lab, first_up: str) -> Lab:
    del first_up
    return lab
