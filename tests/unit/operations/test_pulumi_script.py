"""scripts/pulumi builds the pinned command once. A fake `go` replaces the real one."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from operations.workspace import PROJECT_ROOT

_GO = """#!/bin/bash
echo "$*" >> "$GO_CALLS"
case $1 in
  env) echo go${GO_SAYS:-1.26.6} ;;
  list) printf 'one\\ntwo\\nthree\\n' ;;
  build)
    mkdir -p "$GOCACHE" "$GOMODCACHE/read-only"
    while [ "$1" != -o ]; do shift; done
    [ -z "${GO_HANGS:-}" ] || { touch "$GO_HANGS"; sleep 60; }
    [ -z "${GO_FAILS:-}" ] || { echo "two: undefined: x" >&2; exit 1; }
    printf '#!/bin/sh\\necho v3.274.1\\n' > "$2"
    chmod +x "$2" ;;
esac
"""


@dataclass(frozen=True)
class Host:
    """A host with a given PATH and an empty cache."""

    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / "cache" / "tandem" / "pulumi"

    def command(self, name: str, text: str) -> None:
        file = self.folder / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def start(self, **variables: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "GO_CALLS": str(self.folder / "calls"),
            **variables,
        }
        return subprocess.Popen(
            [PROJECT_ROOT / "scripts" / "pulumi"], env=environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def run(self, **variables: str) -> tuple[int, str]:
        process = self.start(**variables)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output

    def builds(self) -> int:
        calls = self.folder / "calls"
        return calls.read_text().count("build -v") if calls.exists() else 0

    def cached(self) -> set[str]:
        """The names of the files in the cache."""
        return {path.name for path in self.cache.glob("*")} - {"lock"}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.command("go", _GO)
    return host


def test_a_recent_pulumi_on_the_path_is_used(host: Host) -> None:
    host.command("pulumi", "#!/bin/sh\necho v3.280.0\n")
    assert host.run() == (0, "")
    assert host.builds() == 0


def test_pulumi_is_built_once_and_build_files_are_removed(host: Host) -> None:
    code, output = host.run()
    assert code == 0, output
    assert "some minutes" in output
    assert host.cached() == {"v3.274.1"}
    assert [path.name for path in (host.cache / "v3.274.1").iterdir()] == ["pulumi"]
    assert host.run() == (0, "")
    assert host.builds() == 1


def test_a_pulumi_that_is_too_old_is_reported_and_not_used(host: Host) -> None:
    host.command("pulumi", "#!/bin/sh\necho v3.100.0\n")
    code, output = host.run()
    assert code == 0
    assert "older than 3.272.0" in output
    assert host.cached() == {"v3.274.1"}


def test_a_failed_build_shows_the_error_and_advice_and_leaves_no_files(host: Host) -> None:
    code, output = host.run(GO_FAILS="yes")
    assert code != 0
    assert "undefined: x" in output
    assert "Run the same command again" in output
    assert "https://www.pulumi.com/docs/install/" in output
    assert host.cached() == set()


def test_an_interrupted_build_leaves_no_files_and_can_be_repeated(host: Host) -> None:
    mark = host.folder / "building"
    process = host.start(GO_HANGS=str(mark))
    deadline = time.monotonic() + 30
    while not mark.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Run the same command again" in output
    assert host.cached() == set()
    assert host.run()[0] == 0


def test_the_files_of_a_killed_build_are_removed_by_the_next_build(host: Host) -> None:
    (host.cache / "build.killed").mkdir(parents=True)
    assert host.run()[0] == 0
    assert host.cached() == {"v3.274.1"}
