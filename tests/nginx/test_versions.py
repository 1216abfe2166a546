"""The nginx packages of other Debian releases accept every pair of settings and serve them."""

from __future__ import annotations

import dataclasses
import http.client
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from localcloud.package_sources import apt_options, sources_for
from settings.streams import StreamSettings
from tests.nginx.combinations import STREAM, UPSTREAMS, accepted, pairs, sites
from tests.nginx.lab import API, Lab, deployment

pytestmark = pytest.mark.long
_COMMON = ("libnginx-mod-stream", "libc6", "zlib1g", "libcrypt1")
RELEASES = {
    "1.26": ("trixie", ("nginx", "libssl3t64", "libpcre2-8-0", "libzstd1", *_COMMON)),
    "1.18": ("bullseye", ("nginx-core", "libssl1.1", "libpcre3", *_COMMON)),
}

# Without `-e FILE`, which 1.18 does not know.
_SCRIPT = """#!/bin/sh
for word; do
    shift
    if [ "$word" = -e ]; then skip=1
    elif [ "$skip" ]; then skip=
    else set -- "$@" "$word"
    fi
done
exec {loader} --library-path {libraries} {program} "$@"
"""


def unpack(directory: Path, codename: str, packages: Sequence[str]) -> Path:
    """Download packages of a Debian release from the host's sources. Returns the directory with their files."""
    for name in ("lists/partial", "archives/partial", "files", "debs"):
        (directory / name).mkdir(parents=True)
    (directory / "status").touch()
    # This host only has the keys of its release.
    source = dataclasses.replace(sources_for("bookworm")[0], suite=codename, trusted=True, signed_by=None)
    (directory / "sources.list").write_text(source.line() + "\n")
    options = [
        *(word for option in apt_options() for word in ("-o", option)),
        "-o", f"Dir::Etc::sourcelist={directory}/sources.list", "-o", "Dir::Etc::sourceparts=-",
        "-o", f"Dir::State::lists={directory}/lists", "-o", f"Dir::State::status={directory}/status",
        "-o", f"Dir::Cache={directory}", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none",
    ]  # fmt: skip
    subprocess.run(["apt-get", *options, "update", "-qq"], check=True, capture_output=True)
    subprocess.run(
        ["apt-get", *options, "download", *packages], check=True, cwd=directory / "debs", capture_output=True
    )
    for archive in (directory / "debs").iterdir():
        subprocess.run(["dpkg-deb", "-x", str(archive), str(directory / "files")], check=True)
    return directory / "files"


@pytest.fixture(scope="module", params=RELEASES)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """The version, a script that starts it with the libraries of its release, and its modules."""
    version: str = request.param
    directory = tmp_path_factory.mktemp("release")
    files = unpack(directory, *RELEASES[version])
    loader = next(path for path in files.rglob("ld-*.so*") if path.is_file())
    libraries = ":".join(str(path) for path in files.rglob("x86_64-linux-gnu") if "lib" in path.parts[-2])
    script = directory / "nginx"
    script.write_text(_SCRIPT.format(loader=loader, libraries=libraries, program=f"{files}/usr/sbin/nginx"))
    script.chmod(0o755)
    shown = subprocess.run([str(script), "-v"], check=True, capture_output=True, text=True).stderr
    assert f"nginx/{version}." in shown
    return version, script, files / "usr/lib/nginx/modules"


def written(directory: Path, program: tuple[str, Path, Path], nginx: dict[str, Any]) -> Lab:
    version, script, modules = program
    lab = Lab(directory, users={"staff": "alice:$5$x$y"}, program=str(script), modules=modules)
    lab.write(deployment({**nginx, "version": version}))
    return lab


@pytest.mark.parametrize("chosen", [pytest.param(row, id=row["hosts"][0]) for row in sites()])
def test_all_sites_are_accepted_without_a_warning(
    program: tuple[str, Path, Path], tmp_path: Path, chosen: dict[str, Any]
) -> None:
    assert written(tmp_path, program, {"sites": [chosen], "upstreams": UPSTREAMS}).check() == ""


def test_all_streams_are_accepted_without_a_warning(program: tuple[str, Path, Path], tmp_path: Path) -> None:
    rows = [{**row.pop("target"), **row, "port": 10_000 + number} for number, row in enumerate(pairs(STREAM))]
    nginx = {"streams": accepted(rows, StreamSettings), "upstreams": UPSTREAMS}
    assert written(tmp_path, program, nginx).check() == ""


def test_it_serves_known_names_only(program: tuple[str, Path, Path], tmp_path: Path) -> None:
    lab = written(
        tmp_path, program, {"sites": [{"hosts": ["a.example.com"], "locations": [{"path": "/", "respond": {}}]}]}
    )
    lab.start()
    try:
        assert lab.send("GET", "a.example.com", "/").status == 200
        assert lab.send("GET", API, "/metrics").status == 404
        assert not answers(lab, "unknown.example.net")
    finally:
        lab.stop()


def answers(lab: Lab, host: str) -> bool:
    """Whether nginx serves this name over TLS, with a certificate for it."""
    try:
        return lab.send("GET", host, "/").status > 0
    except (OSError, http.client.HTTPException):
        return False
