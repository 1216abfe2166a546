"""Releases: sending them, and deleting old ones and what killed transfers left."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from provisioning_fakes import FakeGroup

from provisioning.errors import UnreachableError
from provisioning.kinds.archive import Archive
from provisioning.kinds.base import Item, restart
from provisioning.kinds.link import Link
from provisioning.kinds.old_archives import OldArchives
from provisioning.kinds.unit import Unit
from provisioning.manifest import Manifest
from provisioning.rollout.drift import drift
from provisioning.rollout.rollout import RolloutResult, roll_out


@pytest.fixture
def group(tmp_path: Path) -> FakeGroup:
    return FakeGroup(tmp_path, ("iam-a",))


def release(directory: Path, version: int, size: int = 100) -> Archive:
    packed = io.BytesIO()
    # Without the time, which gzip writes in seconds: the checksum must not depend on it.
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        data = random.Random(version).randbytes(size)
        info = tarfile.TarInfo("VERSION")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    source = directory / f"iam-{version}.tar.gz"
    source.write_bytes(packed.getvalue())
    sha256 = hashlib.sha256(packed.getvalue()).hexdigest()
    return Archive(str(source), sha256, f"/opt/iam/{sha256[:12]}")


def items(archive: Archive, keep: int) -> tuple[Item, ...]:
    return archive, Link("/opt/iam/current", archive.path), OldArchives(archive.path, keep)


def deploy(group: FakeGroup, archive: Archive, keep: int = 1) -> RolloutResult:
    manifests = {"iam-a": Manifest("iam-a", items(archive, keep))}
    result = roll_out(group.inventory, manifests, {}, group.reported.append, connect=group.connect, sleep=group.sleep)
    assert drift(group.inventory, manifests, {}, connect=group.connect) == {}
    return result


def installed(group: FakeGroup) -> set[str]:
    return {f"/opt/iam/{each.name}" for each in (group.systems["iam-a"].root / "opt/iam").iterdir()} - {
        "/opt/iam/current"
    }


def test_the_releases_that_were_current_last_are_kept(group: FakeGroup, tmp_path: Path) -> None:
    releases = [release(tmp_path, version) for version in range(4)]
    for archive in releases[:3]:
        deploy(group, archive, keep=2)
    assert installed(group) == {each.path for each in releases[:3]}
    deploy(group, releases[0], keep=2)  # back to the first one; the second one is now the oldest
    assert deploy(group, releases[3], keep=2).changed["iam-a"][-1] == f"deleted {releases[1].path.rpartition('/')[2]}"
    assert installed(group) == {releases[0].path, releases[2].path, releases[3].path}


def test_a_second_run_changes_nothing(group: FakeGroup, tmp_path: Path) -> None:
    for version in range(3):
        deploy(group, release(tmp_path, version))
    assert deploy(group, release(tmp_path, 2)).changed == {}


def test_leftovers_of_killed_transfers_are_deleted_and_other_files_kept(group: FakeGroup, tmp_path: Path) -> None:
    first = release(tmp_path, 1)
    deploy(group, first)
    root = group.systems["iam-a"].root
    incomplete = root / "opt/iam/.0123456789ab.812"
    (incomplete / "bin").mkdir(parents=True)
    part = root / "var/lib/tandem/incoming" / ("f" * 64)
    part.write_bytes(b"part")
    manifests = {"iam-a": Manifest("iam-a", items(first, 1))}
    assert drift(group.inventory, manifests, {}, connect=group.connect) == {}, "another operator may be sending"
    deploy(group, release(tmp_path, 2))
    deploy(group, first)
    assert incomplete.exists()
    assert part.exists()
    for each in (incomplete, part):
        os.utime(each, (0, 0))
    notes = root / "opt/iam/notes"
    notes.mkdir()
    found = drift(group.inventory, manifests, {}, connect=group.connect)
    assert found == {"iam-a": [f"old archives in /opt/iam: .0123456789ab.812, {'f' * 64} must be deleted"]}
    deploy(group, first)
    assert (incomplete.exists(), part.exists(), notes.exists()) == (False, False, True)


def with_service(archive: Archive) -> dict[str, Manifest]:
    archive = replace(archive, after=(restart("iam-apiserver"),))
    return {"iam-a": Manifest("iam-a", (archive, Unit("iam-apiserver")))}


def test_a_file_that_was_changed_on_the_node_is_drift_and_its_services_restart(
    group: FakeGroup, tmp_path: Path
) -> None:
    manifests = with_service(release(tmp_path, 1))

    def up() -> RolloutResult:
        return roll_out(group.inventory, manifests, {}, group.reported.append, connect=group.connect)

    up()
    (path,) = installed(group)
    system = group.systems["iam-a"]
    file = system.root / path.lstrip("/") / "VERSION"
    data = file.read_bytes()
    stamp = file.stat().st_mtime_ns
    file.write_bytes(data[:-1] + b"!")
    os.utime(file, ns=(stamp, stamp))  # the size and the time are as before
    found = drift(group.inventory, manifests, {}, connect=group.connect)
    assert found == {"iam-a": [f"{path}: VERSION changed on the node"]}
    system.log.clear()
    up()
    assert file.read_bytes() == data
    assert system.log == ["restart iam-apiserver"]
    file.touch()
    assert drift(group.inventory, manifests, {}, connect=group.connect) == {}, "another time is not another content"
    file.chmod(0o777)
    assert drift(group.inventory, manifests, {}, connect=group.connect) != {}
    assert set(up().changed) == {"iam-a"}
    assert installed(group) == {path}


def test_an_archive_that_was_changed_is_replaced_by_a_run_after_one_that_was_killed(tmp_path: Path) -> None:
    for number in range(6):
        group = FakeGroup(tmp_path / str(number), ("iam-a",))
        manifests = with_service(release(tmp_path, 1))

        def up(group: FakeGroup = group, manifests: dict[str, Manifest] = manifests) -> None:
            roll_out(group.inventory, manifests, {}, connect=group.connect, sleep=group.sleep)

        up()
        (path,) = installed(group)
        system = group.systems["iam-a"]
        (system.root / path.lstrip("/") / "VERSION").write_text("changed")
        system.log.clear()
        group.cut_power(number, up)
        up()
        assert drift(group.inventory, manifests, {}, connect=group.connect) == {}
        assert system.log == ["restart iam-apiserver"]


class Line:
    """Breaks each transfer after `step` bytes of it, `times` times."""

    def __init__(self, group: FakeGroup, step: int, times: int) -> None:
        self.offsets: list[int] = []
        self._step, self._times = step, times
        group.cut_upload = self._cut

    def _cut(self, offset: int) -> int | None:
        self.offsets.append(offset)
        return self._step if len(self.offsets) <= self._times else None


def test_a_transfer_that_breaks_is_continued_over_a_new_connection(group: FakeGroup, tmp_path: Path) -> None:
    line = Line(group, 40_000, times=2)
    archive = release(tmp_path, 1, size=100_000)
    deploy(group, archive)
    assert line.offsets == [0, 40_000, 80_000]
    assert installed(group) == {archive.path}
    size = Path(archive.source).stat().st_size / (1 << 20)
    assert f"iam-a: sending iam-1.tar.gz ({size:.1f} MiB, continuing after 0.1 MiB)" in group.reported


def test_a_line_on_which_nothing_moves_is_an_error_and_the_next_run_continues(group: FakeGroup, tmp_path: Path) -> None:
    archive = release(tmp_path, 1, size=100_000)
    Line(group, 40_000, times=1)
    line = Line(group, 0, times=100)
    with pytest.raises(UnreachableError, match="the SSH connection broke"):
        deploy(group, archive)
    assert line.offsets == [0]
    Line(group, 40_000, times=1)
    deploy(group, archive)
    assert installed(group) == {archive.path}


def test_a_part_that_was_damaged_is_sent_again(group: FakeGroup, tmp_path: Path) -> None:
    archive = release(tmp_path, 1, size=1000)
    part = group.systems["iam-a"].root / "var/lib/tandem/incoming" / archive.sha256
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\0" * 500)
    deploy(group, archive)
    assert installed(group) == {archive.path}
