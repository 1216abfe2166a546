"""The plugins that localcloud puts on the PATH."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from localcloud.providers.plugins import PLUGINS, find_missing, install_command, version, with_plugins


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "PULUMI_HOME": str(tmp_path / "home")}


def _install(place: Path, plugin: str) -> None:
    place.mkdir(parents=True)
    executable = place / f"pulumi-resource-{plugin}"
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)


def test_every_plugin_is_missing_if_none_is_installed(environment: dict[str, str]) -> None:
    assert find_missing(environment) == list(PLUGINS)


def test_a_plugin_on_the_path_is_used(environment: dict[str, str], tmp_path: Path) -> None:
    _install(tmp_path / "bin", "random")
    assert "random" not in find_missing({**environment, "PATH": f"{tmp_path / 'bin'}:/usr/bin"})


def test_an_installed_plugin_of_the_pinned_version_is_used(environment: dict[str, str], tmp_path: Path) -> None:
    _install(tmp_path / "home" / "plugins" / f"resource-tls-v{version('tls')}", "tls")
    _install(tmp_path / "home" / "plugins" / "resource-random-v0.0.1", "random")
    assert find_missing(environment) == ["tencentcloud", "random"]


def test_the_path_gets_one_directory_for_each_missing_plugin(environment: dict[str, str], tmp_path: Path) -> None:
    _install(tmp_path / "home" / "plugins" / f"resource-tls-v{version('tls')}", "tls")
    places = with_plugins(environment, tmp_path / "plugins")["PATH"].split(":")
    assert places == [
        str(tmp_path / "plugins" / "tencentcloud"),
        str(tmp_path / "plugins" / "random"),
        "/usr/bin",
        "/bin",
    ]
    assert not (tmp_path / "plugins" / "tls").exists()


def test_an_executable_serves_from_any_directory_with_any_python_on_the_path(
    environment: dict[str, str], tmp_path: Path
) -> None:
    complete = with_plugins(environment, tmp_path / "plugins", ["random"])
    command = [str(tmp_path / "plugins" / "random" / "pulumi-resource-random"), "127.0.0.1:1"]
    with subprocess.Popen(command, env=complete, cwd="/", stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip().isdigit()
        assert sys.executable in Path(command[0]).read_text()
        process.terminate()


def test_a_plugin_exits_with_its_engine(environment: dict[str, str], tmp_path: Path) -> None:
    complete = with_plugins(environment, tmp_path / "plugins", ["random"])
    script = "pulumi-resource-random 127.0.0.1:1 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script], env=complete, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        plugin = Path("/proc", engine.stdout.readline().strip())
        assert engine.stdout.readline().strip().isdigit()
        engine.kill()
        deadline = time.monotonic() + 10
        while _runs(plugin) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _runs(plugin)


def _runs(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_install_command_is_from_the_metadata_of_the_package() -> None:
    assert install_command("random") == f"pulumi plugin install resource random {version('random')}"
    assert install_command("tencentcloud").startswith("pulumi plugin install resource tencentcloud 0.2.3 --server ")
