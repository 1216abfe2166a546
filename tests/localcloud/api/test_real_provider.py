"""The real pulumi command and provider against localcloud's API, unchanged except for the endpoint."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.localcloud.api.lab import PUBLIC_KEY, Server, running_cloud, serving

pytestmark = pytest.mark.real_engine

_PROGRAM = Path(__file__).parent / "provider_program"


@dataclass(frozen=True)
class Pulumi:
    """A stack of the program in a temporary directory."""

    home: Path
    server: Server

    def __call__(self, variant: str, *arguments: str) -> str:
        """Run one command; return its output. Fails the test if the command fails."""
        proxy = f"http://127.0.0.1:{self.server.port}"
        # HTTP_PROXY routes every host name to the API: vpc.localcloud.test and the others need not resolve.
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_HOME": str(self.home / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.home}",
            "PULUMI_CONFIG_PASSPHRASE": "of a test",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "TENCENTCLOUD_SECRET_ID": "localcloud",
            "TENCENTCLOUD_SECRET_KEY": "localcloud-secret",
            "TENCENTCLOUD_REGION": "ap-guangzhou",
            "TENCENTCLOUD_PROTOCOL": "HTTP",
            "TENCENTCLOUD_DOMAIN": "localcloud.test",
            "HTTP_PROXY": proxy,
            "NO_PROXY": "",
            "VARIANT": variant,
            "PUBLIC_KEY": PUBLIC_KEY,
        }
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color", "never"],
            cwd=self.home / "program",
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"pulumi {' '.join(arguments)} ({variant}):\n{done.stdout[-6000:]}\n{done.stderr}"
        return done.stdout

    def up(self, variant: str, *arguments: str) -> str:
        return self(variant, "up", "--yes", "--skip-preview", "--stack", "life", *arguments)


@pytest.fixture
def pulumi(tmp_path: Path) -> Iterator[Pulumi]:
    shutil.copytree(_PROGRAM, tmp_path / "program")
    (tmp_path / "home").mkdir()
    with running_cloud() as cloud, serving(cloud, requests_per_second=None) as server:
        stack = Pulumi(tmp_path, server)
        stack("first", "stack", "init", "life")
        yield stack


@pytest.mark.timeout(600)
def test_the_real_provider_creates_keeps_refreshes_changes_replaces_and_destroys_everything(pulumi: Pulumi) -> None:
    assert "27 created" in pulumi.up("first")
    # The first refresh reads changes that later resources made to earlier ones (a subnet's free addresses).
    pulumi("first", "refresh", "--yes", "--stack", "life")
    pulumi.up("first", "--expect-no-changes")
    pulumi("first", "refresh", "--yes", "--stack", "life", "--expect-no-changes")

    assert "replaced" not in pulumi.up("changed")
    pulumi("changed", "refresh", "--yes", "--stack", "life")
    pulumi.up("changed", "--expect-no-changes")

    assert "replaced" in pulumi.up("replaced")
    pulumi.up("replaced", "--expect-no-changes")

    pulumi("replaced", "destroy", "--yes", "--stack", "life")
    left = pulumi.server.cloud.status()["records"].keys()
    assert left <= {"Task", "ClientToken", "Domain"}
    refused = [entry for entry in pulumi.server.gateway.log.last(10_000) if entry["error"]]
    assert {entry["error"] for entry in refused} <= {"RequestLimitExceeded"}
