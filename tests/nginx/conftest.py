"""The upstream server of the tests that need only one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.nginx.backends import Backend


@pytest.fixture(scope="module")
def web() -> Iterator[Backend]:
    backend = Backend("web")
    backend.start()
    yield backend
    backend.stop()
