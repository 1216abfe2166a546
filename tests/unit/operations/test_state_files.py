"""Files that a killed pulumi leaves are removed; those of a running pulumi are not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from operations.state_files import Lock, release_dead_locks, remove_partly_written_files


def lock(folder: Path, *, pid: int, hostname: str | None = None, age_s: float = 0) -> Path:
    file = folder / ".pulumi" / "locks" / "organization" / "tandem" / "local" / f"{pid}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    taken = datetime.now(UTC) - timedelta(seconds=age_s)
    # In the format of pulumi, with nanoseconds.
    stamp = taken.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    owner = {"pid": pid, "username": "root", "hostname": hostname or socket.gethostname(), "timestamp": stamp}
    file.write_text(json.dumps(owner))
    return file


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def release(folder: Path) -> list[Lock]:
    return release_dead_locks(folder.as_uri(), "tandem", "local")


def test_the_lock_of_a_process_that_has_ended_is_released(tmp_path: Path) -> None:
    file = lock(tmp_path, pid=dead_pid())
    assert [released.username for released in release(tmp_path)] == ["root"]
    assert not file.exists()
    assert release(tmp_path) == []


def test_the_lock_of_a_zombie_process_is_released(tmp_path: Path) -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        lock(tmp_path, pid=process.pid)
        assert len(release(tmp_path)) == 1
    finally:
        process.wait()


def test_the_lock_of_a_running_process_is_kept(tmp_path: Path) -> None:
    file = lock(tmp_path, pid=os.getpid())
    assert release(tmp_path) == []
    assert file.exists()


def test_the_lock_of_another_host_is_kept(tmp_path: Path) -> None:
    file = lock(tmp_path, pid=dead_pid(), hostname="another-host")
    assert release(tmp_path) == []
    assert file.exists()


def test_a_lock_whose_process_id_was_reused_is_released(tmp_path: Path) -> None:
    file = lock(tmp_path, pid=os.getpid(), age_s=365 * 24 * 3600)
    assert len(release(tmp_path)) == 1
    assert not file.exists()


def test_locks_of_other_stacks_and_partly_written_locks_are_kept(tmp_path: Path) -> None:
    file = lock(tmp_path, pid=dead_pid())
    partial = file.with_name("partial.json")
    partial.write_text('{"pid": 1')
    assert release_dead_locks(tmp_path.as_uri(), "tandem", "prod") == []
    release(tmp_path)
    assert partial.exists()


@pytest.fixture
def sidecars(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / ".pulumi" / "stacks" / "tandem"
    folder.mkdir(parents=True)
    files = {name: folder / f"{name}.json.attrs" for name in ("complete", "partial", "empty")}
    for file, text in zip(files.values(), ('{"md5": "abc"}', '{"md5": "a', ""), strict=True):
        file.write_text(text)
    files["temporary"] = folder / "local.json.18a.tmp"
    files["temporary"].write_text("{")
    return files


def test_partly_written_sidecars_are_removed_and_complete_ones_are_kept(
    tmp_path: Path, sidecars: dict[str, Path]
) -> None:
    remove_partly_written_files(f"{tmp_path.as_uri()}?metadata=skip", "tandem", "local")
    assert {name for name, file in sidecars.items() if file.exists()} == {"complete"}


def test_no_file_is_removed_while_the_stack_is_locked(tmp_path: Path, sidecars: dict[str, Path]) -> None:
    lock(tmp_path, pid=os.getpid())
    remove_partly_written_files(tmp_path.as_uri(), "tandem", "local")
    assert all(file.exists() for file in sidecars.values())


@pytest.mark.parametrize("url", ["s3://bucket", "https://api.pulumi.com"])
def test_locks_of_other_backends_are_ignored(url: str) -> None:
    assert release_dead_locks(url, "tandem", "local") == []
