from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator

import pytest

from tests.end_to_end import host
from tests.end_to_end.group import Group
from tests.end_to_end.lab import ROOT, Lab, new_cloud

# One name for each checkout: tests of two checkouts may run in parallel, and a run removes what a killed one left.
NAME = f"e2e{zlib.crc32(str(ROOT).encode()):08x}"

GROUP = pytest.StashKey[Group]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the test of `down` last, because the other tests need the cloud."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    group = item.config.stash.get(GROUP, None)
    if group is not None and report.failed:
        group.failed = True
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Restore the group for the next test after a failed test or a failed fixture teardown."""
    group = item.config.stash.get(GROUP, None)
    try:
        yield
    except (Exception, pytest.fail.Exception):
        if group is not None:
            group.failed = True
        raise
    finally:
        if group is not None and group.failed and nextitem is not None:
            group.restore()


@pytest.fixture(scope="session")
def before() -> host.Traces:
    """The state of the host before these tests start a localcloud."""
    return host.read_traces(NAME)


@pytest.fixture(scope="session")
def lab(before: host.Traces) -> Iterator[Lab]:
    """A separate localcloud. It shares the image cache with all other clouds."""
    del before
    with new_cloud(NAME) as lab:
        yield lab


@pytest.fixture(scope="session")
def group(lab: Lab, pytestconfig: pytest.Config) -> Group:
    """The nodes after the first `tandem up` on an empty cloud."""
    group = Group(lab)
    group.up()
    pytestconfig.stash[GROUP] = group
    return group


@pytest.fixture
def deployed(group: Group) -> Lab:
    return group.lab
