"""The real `keepalived -t` accepts each rendered configuration, over pairwise combinations of the settings."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from settings.keepalived import KeepalivedSettings
from tests.keepalived.configurations import NODES, VIP3, deployment, pairwise, write
from tests.keepalived.pair import in_namespace

pytestmark = pytest.mark.root


def test_keepalived_accepts_pairwise_combinations_of_all_settings(tmp_path: Path) -> None:
    combinations, refused = pairwise()
    assert len(combinations) > 15
    assert refused < 60, "most pairs must be possible"
    problems: list[str] = []
    with in_namespace("accepted") as namespace:
        for number, settings in enumerate(combinations):
            for node in NODES:
                sync = KeepalivedSettings.model_validate(settings).sync_group
                of = deployment(settings, (VIP3,) if sync or (number % 2 and settings["profile"] != "seed") else ())
                configuration = write(of, node, tmp_path / f"{number}{node}")
                done = subprocess.run(
                    ["ip", "netns", "exec", namespace, "keepalived", "-t", "-f", str(configuration)],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if done.returncode:
                    problems.append(f"{settings}: exit code {done.returncode}: {done.stderr}")
    assert not problems, "\n".join(problems)
