"""The commands of the backup program, with stand-ins for MariaDB, Redis and the other node on the PATH."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

_RUN = """
import json, sys
from pathlib import Path
from provisioning.programs.database_backup.__main__ import main
main(sys.argv[3:], json.loads(sys.argv[1]), Path(sys.argv[2]))
"""
_PROGRAMS = {
    "mariadb": 'text=$(cat); case "$text" in *schema_comment*) cat comment;; *) echo "$text" >>loaded;; esac',
    "mariadb-dump": 'cat dump; [ ! -e damaged ] || { echo "Table iam.user is corrupt" >&2; exit 2; }',
    "redis-cli": 'echo "$*" >>redis; [ -e redis-runs ] || { echo "Connection refused"; exit 1; }; echo queued',
    "ssh": "exit 255",
}
DUMP = "INSERT INTO user VALUES (1);\n-- Dump completed\n"


@dataclass
class DataNode:
    """The directory of the stand-ins, and that of the backups."""

    folder: Path
    own: Path

    def set(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / name.replace("_", "-")).write_text(text)

    def read(self, name: str) -> str:
        file = self.folder / name
        return file.read_text() if file.exists() else ""

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        settings: dict[str, Any] = {
            "database": "iam", "keep_days": 7, "keep_weeks": 0, "redis_host": "127.0.0.1", "redis_port": 6379,
            "redis_env": os.devnull, "peer": "10.0.4.21", "key": "key", "known_hosts": "known", "lock": "lock",
        }  # fmt: skip
        environment = {"PATH": f"{self.folder}:{os.environ['PATH']}", "PYTHONPATH": str(Path.cwd())}
        return subprocess.Popen(
            [sys.executable, "-c", _RUN, json.dumps(settings), str(self.own), *arguments],
            cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def files(self) -> list[str]:
        return sorted(file.name for file in self.own.iterdir()) if self.own.exists() else []

    def add(self, age: timedelta) -> str:
        name = f"{datetime.now(UTC) - age:%Y%m%dT%H%M%SZ}"
        self.own.mkdir(exist_ok=True)
        (self.own / f"{name}.sql.gz").write_bytes(gzip.compress(DUMP.encode()))
        return name


@pytest.fixture
def node(tmp_path: Path) -> DataNode:
    node = DataNode(tmp_path, tmp_path / "backups")
    for name, script in _PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    node.set(dump=DUMP, comment="schema 0123456789ab loaded by tandem\n", redis_runs="")
    return node


def test_a_backup_is_kept_whatever_its_copies_and_the_queue_do(node: DataNode) -> None:
    (node.folder / "redis-runs").unlink()
    code, out, err = node.run("create")
    assert code
    assert "the queue of audit records is not in the backup: redis-cli DUMP failed: Connection refused" in err
    assert "10.0.4.21 cannot be reached by SSH" in err
    name = out.removeprefix("created ").strip()
    assert node.files() == [f"{name}.sql.gz"]


def test_a_restore_needs_neither_the_other_node_nor_redis_and_deletes_no_backup(node: DataNode) -> None:
    old = node.add(timedelta(days=30))
    (node.folder / "redis-runs").unlink()
    code, out, err = node.run("replace", old)
    assert code == 0, err
    created, queue, restored, peer = out.splitlines()
    assert created.startswith("created ")
    assert queue.startswith("warning: the queue of audit records")
    assert restored == f"restored {old}"
    assert peer == "warning: 10.0.4.21 cannot be reached by SSH"
    name = created.split()[1]
    assert node.files() == [f"{old}.sql.gz", f"{name}.replaced", f"{name}.sql.gz"]
    assert DUMP.strip() in node.read("loaded")


def test_data_that_cannot_be_backed_up_are_replaced_only_with_discard(node: DataNode) -> None:
    name = node.add(timedelta(days=1))
    node.set(damaged="")
    code, _, err = node.run("replace", name)
    assert code
    assert "Table iam.user is corrupt" in err
    assert "nothing was replaced: mariadb-dump failed with exit code 2" in err
    assert "`tandem restore --discard`" in err
    assert not node.read("loaded")
    assert node.run("replace", name, "--discard")[:2] == (0, f"restored {name}\n")
    assert DUMP.strip() in node.read("loaded")


def test_a_database_whose_restore_was_interrupted_is_not_backed_up(node: DataNode) -> None:
    node.set(comment="schema loading by tandem\n")
    code, _, err = node.run("create")
    assert code
    assert "database iam is incomplete" in err
    assert node.files() == []


def test_a_failed_dump_leaves_no_file_and_old_files_without_a_dump_are_deleted(node: DataNode) -> None:
    node.set(damaged="")
    assert node.run("create")[0]
    assert node.files() == []
    (node.folder / "damaged").unlink()
    orphans = {"20251101T020000Z.queue": 2 * 86400, "20251102T020000Z.queue": 60}
    for name, age_s in orphans.items():
        (node.own / name).write_bytes(b"x")
        at = datetime.now(UTC).timestamp() - age_s
        os.utime(node.own / name, (at, at))
    node.run("create")
    assert orphans.keys() & set(node.files()) == {"20251102T020000Z.queue"}


def test_a_comment_with_quotes_is_restored(node: DataNode) -> None:
    node.set(comment="the team's \\ database\n")
    node.run("create", "--local")
    (dump,) = node.own.glob("*.sql.gz")
    assert gzip.decompress(dump.read_bytes()).decode().endswith("ALTER DATABASE COMMENT 'the team''s \\\\ database';\n")


@pytest.mark.parametrize("command", ["create", "replace"])
def test_only_one_command_at_a_time_reads_or_replaces_the_database(node: DataNode, command: str) -> None:
    name = node.add(timedelta(days=1))
    with (node.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = node.start(*(["create", "--local"] if command == "create" else ["replace", name]))
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert (node.files(), node.read("loaded")) == ([f"{name}.sql.gz"], "")
    assert process.communicate(timeout=60)[0].startswith("created ")


def test_a_queue_that_cannot_be_loaded_stops_the_restore_before_the_database_is_replaced(node: DataNode) -> None:
    name = node.add(timedelta(days=1))
    (node.own / f"{name}.queue").write_bytes(b"queued")
    (node.folder / "redis-runs").unlink()
    code, _, err = node.run("replace", name, "--audit-queue")
    assert code
    assert "redis-cli DEL failed: Connection refused" in err
    assert not node.read("loaded")
