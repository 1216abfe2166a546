"""One release goes from staging to prod by its digest (docs/team.md)."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import fake_cloud
import pytest
from program_runs import config_of, make_release

from settings.problems import SettingsError


@pytest.fixture
def release(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "iam-1.8.0.tar.gz"
    shutil.copy(make_release(), file)
    return {"release": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def archives(stack: str, settings: dict[str, str]) -> dict[str, set[str]]:
    """The digests that the manifest of each node names, by node. The bastion runs no service."""
    rollout: dict[str, Any] = dict(
        fake_cloud.run_program(stack, config_of(stack, {"iam": settings})).get("rollout").inputs
    )
    return {node: set(re.findall(r'"sha256": ?"([0-9a-f]{64})"', text))
            for node, text in rollout["manifests"].items()
            if node != "bastion"}  # fmt: skip


def test_prod_gets_the_bytes_that_staging_has_tested(release: dict[str, str]) -> None:
    for stack in ("staging", "prod"):
        found = archives(stack, release)
        assert len(found) > 1
        assert all(release["sha256"] in digests for digests in found.values()), found


def test_another_file_under_the_same_name_is_refused(release: dict[str, str]) -> None:
    shutil.copy(make_release(), release["release"])
    with Path(release["release"]).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(SettingsError, match=r"tandem:iam\.release .*checksum"):
        archives("prod", release)
