"""Unit tests of `make test-fresh` (tests/fresh/) that do not create a fresh system."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fresh.__main__ import LOCK
from tests.fresh.client_settings import read_client_settings
from tests.fresh.host import find_running_clouds, remove_leftovers
from tests.fresh.readme import PREREQUISITES, README, find_commands


def test_the_commands_come_from_the_first_code_block_of_the_readme() -> None:
    assert find_commands(README.read_text()) == ["make up", "make test"]


def test_the_readme_names_the_prerequisites_of_its_commands() -> None:
    introduction = README.read_text().split("## Try it")[1].split("```")[0]
    assert [package for package in PREREQUISITES if package not in introduction] == []


def test_a_readme_without_the_code_block_is_an_error() -> None:
    with pytest.raises(ValueError, match="no code block"):
        find_commands("# Tandem\n\n## Try it\n\nRun `make up`.\n")


def test_the_fresh_system_gets_only_the_settings_of_package_clients(tmp_path: Path) -> None:
    for name in ("etc/pip.conf", "usr/local/share/ca-certificates/a/own.crt", "root/.ssh/id_rsa"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("x")
    environment = {
        "https_proxy": "http://192.0.2.1:3128",
        "GOPROXY": "https://go.example.com",
        "PIP_INDEX_URL": "https://pip.example.com/simple",
        "PIP_CACHE_DIR": "/var/cache/pip",
        "PIP_FIND_LINKS": "/opt/wheels",
        "PIP_CERT": str(bundle),
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
        "CURL_CA_BUNDLE": "/no/such/bundle.pem",
        "TENCENTCLOUD_SECRET_KEY": "secret",
        "PATH": "/root/bin",
    }
    settings = read_client_settings(environment, tmp_path)
    kept = {name: settings.environment.get(name) for name in environment if name in settings.environment}
    assert sorted(kept) == ["GOPROXY", "PIP_CERT", "PIP_INDEX_URL", "SSL_CERT_FILE", "https_proxy"]
    assert kept["GOPROXY"] == "https://go.example.com"
    assert settings.files == (
        tmp_path / "etc/pip.conf", tmp_path / "usr/local/share/ca-certificates/a/own.crt", bundle,
    )  # fmt: skip


def test_a_cloud_with_a_daemon_or_a_node_process_is_running(tmp_path: Path) -> None:
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    for place, content in {
        proc / "10/cmdline": "python\0-m\0localcloud.daemon\0daemon\0--timing\0short\0",
        proc / "11/cmdline": "vi\0localcloud.daemon\0",
        proc / "self/cmdline": "python\0-m\0localcloud.daemon\0twice\0",
        cgroups / "memory/localcloud/node/ins-1/payload/cgroup.procs": "123\n",
        cgroups / "memory/localcloud/ended/ins-1/cgroup.procs": "",
        cgroups / "localcloud/unified/cgroup.procs": "124\n",
    }.items():
        place.parent.mkdir(parents=True)
        place.write_text(content)
    assert find_running_clouds(proc, cgroups) == ["daemon", "node", "unified"]


@pytest.mark.root
def test_an_interrupted_run_leaves_no_loop_device_and_no_control_group(tmp_path: Path) -> None:
    disk = tmp_path / "root/var/lib/localcloud/fresh/disks/disk-1.img"
    disk.parent.mkdir(parents=True)
    disk.touch()
    (disk.parent / "deleted-meanwhile.img").symlink_to("nowhere")
    os.truncate(disk, 1024**2)
    (tmp_path / "cgroup/memory/localcloud/fresh/ins-1").mkdir(parents=True)
    (tmp_path / "cgroup/memory/localcloud/other").mkdir()
    attached = ["losetup", "--associated", str(disk)]
    subprocess.run(["losetup", "--find", str(disk)], check=True)
    assert subprocess.run(attached, capture_output=True, check=True).stdout
    remove_leftovers(tmp_path, "fresh", tmp_path / "cgroup")
    assert not subprocess.run(attached, capture_output=True, check=True).stdout
    assert [path.name for path in (tmp_path / "cgroup/memory/localcloud").iterdir()] == ["other"]


@pytest.mark.root
def test_a_second_run_beside_the_first_is_refused() -> None:
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [sys.executable, "-m", "tests.fresh", "--beside"], cwd=README.parent, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "test-fresh: another test-fresh is running on this host\n")
