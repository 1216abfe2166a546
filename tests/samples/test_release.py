from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from provisioning.agent.kinds.archive import unpack
from samples.iam.build import archive, build
from settings.iam import IamSettings
from settings.load import find_release
from settings.releases import Release, ReleaseError, Schema


def test_builds_in_different_environments_are_identical(tmp_path: Path) -> None:
    here = build(tmp_path / "a.tar.gz")
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-m", "samples.iam.build", str(tmp_path / "b.tar.gz")],
        capture_output=True, text=True, check=True, cwd=root, env={"TZ": "Asia/Shanghai", "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert result.stdout.strip() == here == hashlib.sha256((tmp_path / "b.tar.gz").read_bytes()).hexdigest()


def test_a_release_contains_only_programs_modules_schema_and_version(tmp_path: Path) -> None:
    build(tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        members = {member.name: member for member in tar.getmembers()}
    assert {"bin/iam-apiserver", "bin/iam-authz-server", "bin/iam-pump", "sql/iam.sql", "VERSION"} <= set(members)
    assert {name.split("/")[0] for name in members} == {"bin", "lib", "sql", "VERSION"}
    assert {member.mode for name, member in members.items() if name.startswith("bin/")} == {0o755}
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(0, 0, 0)}
    assert not [name for name in members if "__pycache__" in name]


def test_a_second_build_does_not_modify_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    build(path)
    before = path.stat().st_mtime_ns
    build(path)
    assert path.stat().st_mtime_ns == before


def test_the_programs_start_from_an_unpacked_release(tmp_path: Path) -> None:
    build(tmp_path / "a.tar.gz")
    unpack(tmp_path / "a.tar.gz", tmp_path / "release")
    for name in ("iam-apiserver", "iam-authz-server", "iam-pump"):
        result = subprocess.run(
            [sys.executable, str(tmp_path / "release" / "bin" / name), "--version"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert result.stdout.startswith(f"{name} v")


def test_the_default_release_is_the_stand_in() -> None:
    release = find_release(IamSettings())
    assert release.stand_in
    assert Path(release.source).read_bytes() == archive()
    assert release.path == f"/opt/iam/{release.sha256[:12]}"


def make_release(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            tar.addfile(entry)
    return path


_COMPLETE = ("bin/iam-apiserver", "bin/iam-authz-server", "bin/iam-pump", "sql/iam.sql")


@pytest.mark.parametrize("prefix", ["", "./"])
def test_a_custom_release_is_identified_by_its_content(tmp_path: Path, prefix: str) -> None:
    path = make_release(tmp_path / "own.tar.gz", *(prefix + name for name in _COMPLETE))
    # The files are empty; so is the schema.
    assert find_release(IamSettings(release=str(path))) == Release(
        str(path),
        hashlib.sha256(path.read_bytes()).hexdigest(),
        schema=Schema(hashlib.sha256(b"").hexdigest()[:12]),
    )


def test_a_release_without_its_schema_is_refused(tmp_path: Path) -> None:
    path = make_release(tmp_path / "own.tar.gz", *_COMPLETE[:-1])
    with pytest.raises(ReleaseError, match=r"must contain sql/iam\.sql") as error:
        find_release(IamSettings(release=str(path)))
    assert "tandem:iam.release" in str(error.value)


@pytest.mark.parametrize("content", [None, b"no archive"])
def test_a_path_without_a_readable_archive_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "own.tar.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReleaseError, match="cannot be read"):
        find_release(IamSettings(release=str(path)))
