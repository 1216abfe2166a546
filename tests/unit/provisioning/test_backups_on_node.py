"""What the agent knows of the data and the backups of its node, and how it calls the backup program."""

from __future__ import annotations

from pathlib import Path

import pytest
from provisioning_deployments import deployment

from provisioning.agent import backups
from provisioning.agent.kinds import database
from provisioning.agent.node import NOT_FOUND, Node, Result, StepError
from provisioning.manifest_rendering import render
from provisioning.programs.database_backup import mariadb

DEVICE = "/dev/disk/by-id/virtio-disk-1"
SCHEMA = "schema 0123456789ab loaded by tandem"


class FakeNode:
    def __init__(self, root: Path, comment: str | None = None, **answers: Result) -> None:
        running = comment is not None
        rows = f"information_schema\t\niam\t{comment}\n" if comment else "information_schema\t\n"
        self.answers = {"mariadb": Result(0, rows, "") if running else Result(1, "", "cannot connect"), **answers}
        self.commands: list[list[str]] = []
        self.node = Node(root=str(root), runner=self._run)
        self.node.write_json("held_data.json", {"database": "iam", "node": "iam-a"})

    def _run(self, argv: list[str], **_: object) -> Result:
        self.commands.append(argv)
        if argv == ["mariadb", "--version"]:
            return self.answers.get("version", Result(0, "", ""))
        return self.answers.get(argv[0].rpartition("/")[2], Result(1, "", ""))

    def state(self) -> str:
        return backups.data_state(self.node)["database"]


@pytest.mark.parametrize(
    ("comment", "state"), [(SCHEMA, "present"), ("", "absent"), (database.LOADING, "absent"), ("x", "present")]
)
def test_mariadb_says_whether_the_database_exists(tmp_path: Path, comment: str, state: str) -> None:
    assert FakeNode(tmp_path, comment).state() == state


def test_the_data_of_a_stopped_mariadb_are_not_lost(tmp_path: Path) -> None:
    (tmp_path / "var/lib/mysql/iam").mkdir(parents=True)
    assert FakeNode(tmp_path).state() == "unknown"


def test_a_node_without_mariadb_has_no_database(tmp_path: Path) -> None:
    assert FakeNode(tmp_path, version=Result(NOT_FOUND, "", "")).state() == "absent"


@pytest.mark.parametrize(
    ("content", "mounted", "state"),
    [
        pytest.param("TYPE=ext4\n", False, "unknown", id="a disk that is not mounted"),
        pytest.param("", False, "absent", id="a blank disk"),
        pytest.param("TYPE=ext4\n", True, "absent", id="a mounted disk without the database"),
    ],
)
def test_without_mariadb_the_data_disk_decides(tmp_path: Path, content: str, state: str, *, mounted: bool) -> None:
    unit = tmp_path / "etc/systemd/system/srv-tandem.mount"
    unit.parent.mkdir(parents=True)
    unit.write_text(f"[Mount]\nWhat={DEVICE}\nWhere=/srv/tandem\n")
    (tmp_path / DEVICE[1:]).parent.mkdir(parents=True)
    (tmp_path / DEVICE[1:]).touch()
    blkid, mountpoint = Result(0 if content else 2, content, ""), Result(0 if mounted else 32, "", "")
    assert FakeNode(tmp_path, blkid=blkid, mountpoint=mountpoint).state() == state


def test_a_restore_returns_the_backup_of_the_data_before_it_and_the_warnings(tmp_path: Path) -> None:
    out = "created 20261127T100000Z\nwarning: 10.0.4.21 cannot be reached by SSH\nrestored 20261127T020000Z\n"
    fake = FakeNode(tmp_path, backup=Result(0, out, ""))
    done = backups.restore(fake.node, backup="20261127T020000Z", audit_queue=True, discard=False)
    assert done == {"kept": "20261127T100000Z", "warnings": ["10.0.4.21 cannot be reached by SSH"]}
    assert fake.commands == [[database.BACKUP, "replace", "20261127T020000Z", "--audit-queue"]]


def test_a_failed_restore_names_the_backup_that_was_made_before(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path, backup=Result(1, "created 20261127T100000Z\n", "backup: x cannot be loaded"))
    with pytest.raises(StepError) as caught:
        backups.restore(fake.node, backup="20261127T020000Z", audit_queue=False, discard=True)
    assert caught.value.seen == "created 20261127T100000Z\nbackup: x cannot be loaded"


def test_backups_are_listed_with_the_mark_of_replaced_data_and_without_what_has_just_expired(tmp_path: Path) -> None:
    own = tmp_path / "srv/tandem/backups"
    own.mkdir(parents=True)
    (own / "20261126T020000Z.sql.gz").symlink_to("gone")  # listed, but without a file
    (own / "20261127T020000Z.sql.gz").write_bytes(b"12")
    (own / "20261127T030000Z.sql.gz").write_bytes(b"123")
    (own / "20261127T030000Z.replaced").write_text("")
    assert backups.backups(FakeNode(tmp_path).node) == {
        "20261127T020000Z": {"size": 2, "replaced": False},
        "20261127T030000Z": {"size": 3, "replaced": True},
    }


def test_a_migration_needs_a_backup_but_not_its_copies(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path, SCHEMA, backup=Result(0, "", ""))
    for path in (database.BACKUP, "/opt/sql/migrate-0123456789ab.sql"):
        fake.node.at(path).parent.mkdir(parents=True, exist_ok=True)
        fake.node.at(path).write_text("")
    item = {"name": "iam", "schema": "/opt/sql/iam.sql", "version": "b" * 12, "migrations": ["0123456789ab"]}
    assert database.commit(fake.node, item)[0] == "backed up database iam"
    assert [command for command in fake.commands if command[0] != "mariadb"] == [[database.BACKUP, "create", "--local"]]


def test_the_agent_knows_what_the_services_and_the_backup_program_write() -> None:
    assert "\nWhat=/dev/disk/by-id/virtio-" in render(deployment())["iam-a"].files()[backups.MOUNT_UNIT]
    assert mariadb.LOADING == database.LOADING
