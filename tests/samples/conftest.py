from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from iam_certificates import write_certificates
from iam_site import Site, site


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ca.crt, node.crt and node.key for 127.0.0.1."""
    directory = tmp_path_factory.mktemp("certificates")
    write_certificates(directory)
    return directory


@pytest.fixture
def iam(certificates: Path) -> Iterator[Site]:
    with site(certificates) as it:
        yield it
