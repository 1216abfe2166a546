from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from .cloud import Cloud, running_cloud
from .project import Project


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with running_cloud(tmp_path) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, cloud: Cloud) -> Iterator[Project]:
    with closing(Project(tmp_path / "project", cloud.environment)) as small:
        yield small
