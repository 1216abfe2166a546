"""The backup program on temporary directories. tests/end_to_end/test_data.py runs it on nodes."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from provisioning_deployments import deployment
from pydantic import ValidationError

from provisioning.kinds.file import File
from provisioning.kinds.package import Package
from provisioning.kinds.timer import Timer
from provisioning.manifest import Manifest
from provisioning.manifest_rendering import render
from provisioning.programs.database_backup.files import BackupError, expired
from provisioning.programs.database_backup.receiver import serve
from settings.data import DataSettings

NOW = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)  # a Friday
KEEP = {"keep_days": 7, "keep_weeks": 4}


def name(age: timedelta, now: datetime = NOW) -> str:
    return f"{now - age:%Y%m%dT%H%M%SZ}"


def test_all_backups_of_seven_days_and_one_of_each_of_four_weeks_are_kept() -> None:
    nightly = {name(timedelta(days=age)): age for age in range(40)}
    kept = set(nightly) - expired(nightly, NOW, 7, 4)
    # Day 0 is a Friday: the newest backups of the earlier weeks were made on Sundays, 5, 12, 19 and 26 days ago.
    assert sorted(nightly[each] for each in kept) == [0, 1, 2, 3, 4, 5, 6, 12, 19, 26]


def test_the_newest_backup_is_never_deleted_while_others_arrive() -> None:
    assert expired([name(timedelta(days=300)), name(timedelta())], NOW, 7, 0) == {name(timedelta(days=300))}
    assert expired([name(timedelta(hours=hours)) for hours in range(100)], NOW, 7, 4) == set()


def request(folder: Path, text: str, content: bytes = b"") -> bytes:
    answer = io.BytesIO()
    serve(KEEP, text, folder, io.BytesIO(content), answer)
    return answer.getvalue()


def receive(folder: Path, backup: str, content: bytes, *, sent: bytes | None = None) -> None:
    line = f"receive {backup}.sql.gz {len(content)} {hashlib.sha256(content).hexdigest()}"
    request(folder, line, content if sent is None else sent)


def test_a_received_backup_is_listed_fetched_and_never_changed(tmp_path: Path) -> None:
    backup = name(timedelta(hours=1), datetime.now(UTC))
    receive(tmp_path, backup, b"content")
    assert request(tmp_path, "list") == backup.encode()
    receive(tmp_path, backup, b"other")
    assert request(tmp_path, f"fetch {backup}.sql.gz") == b"content"
    assert (tmp_path / f"{backup}.sql.gz").stat().st_mode & 0o777 == 0o600


def test_an_incomplete_backup_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="arrived incomplete"):
        receive(tmp_path, name(timedelta(), datetime.now(UTC)), b"content", sent=b"cont")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "id",
        "list; id",
        "fetch ../../etc/shadow",
        "fetch 20261127T020000Z.sql.gz 1",
        "receive 20261127T020000Z.sql.gz",
    ],
)
def test_other_requests_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BackupError, match="unknown request"):
        request(tmp_path, text)


def test_backups_of_the_future_cannot_push_out_the_present_ones(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is in the future"):
        receive(tmp_path, name(timedelta(days=-2), datetime.now(UTC)), b"content")


def test_received_backups_expire(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for days in (400, 0):
        receive(tmp_path, name(timedelta(days=days), now), b"content")
    assert request(tmp_path, "list") == name(timedelta(), now).encode()


BUCKET = {"endpoint": "https://cos.ap-guangzhou.myqcloud.com", "name": "backups-1", "prefix": "prod/"}
KEY_FILE = "/etc/tandem/backup/bucket.env"


def with_bucket(**more: str) -> Manifest:
    data = DataSettings.model_validate({"backup": {"hour": 3, "bucket": {**BUCKET, **more}}})
    return render(replace(deployment(), data=data))["iam-a"]


def files_of(manifest: Manifest) -> dict[str, File]:
    return {item.path: item for item in manifest.items if isinstance(item, File)}


def test_a_bucket_needs_rclone_and_a_key_that_only_root_can_read() -> None:
    manifest = with_bucket()
    assert Package("rclone") in manifest.items
    given = json.loads(manifest.files()["/etc/tandem/backup.json"])["bucket"]
    assert given == {**BUCKET, "region": "", "role": ""}
    key = files_of(manifest)[KEY_FILE]
    assert (key.owner, key.mode) == ("root", 0o600)
    assert f"EnvironmentFile=-{KEY_FILE}\n" in manifest.files()["/etc/systemd/system/tandem-backup.service"]
    (timer,) = [item for item in manifest.items if isinstance(item, Timer) and item.name == "tandem-backup"]
    assert "OnCalendar=*-*-* 03:00:00 UTC\nPersistent=true\n" in timer.text
    others = render(deployment())["iam-a"]
    assert Package("rclone") not in others.items
    assert "/usr/local/lib/tandem/backup-upload" in manifest.files().keys() - others.files().keys()


def test_with_a_role_no_key_is_on_the_node() -> None:
    manifest = with_bucket(role="tandem-backup")
    assert KEY_FILE not in manifest.files()
    assert json.loads(manifest.files()["/etc/tandem/backup.json"])["bucket"]["role"] == "tandem-backup"
    assert "bucket_key" not in str(manifest)


def test_a_role_is_refused_for_another_service_than_cos() -> None:
    with pytest.raises(ValidationError, match=r"role can be set for an endpoint of COS .* \(got http://10.0.9.9\)"):
        with_bucket(role="tandem-backup", endpoint="http://10.0.9.9")


def test_the_key_of_the_data_node_is_limited_to_one_command_from_its_address() -> None:
    files = render(deployment(application_nodes=1))["iam-b"].files()
    assert files["/var/lib/tandem-backup/.ssh/authorized_keys"] == (
        'command="/usr/local/lib/tandem/backup serve",restrict,from="10.0.4.20" @@secret:backup_public_key@@\n'
    )
    manifests = render(deployment(application_nodes=1))
    timers = {node: [item.name for item in each.items if isinstance(item, Timer)] for node, each in manifests.items()}
    assert timers == {
        "iam-a": ["tandem-backup", "iam-refresh", "tandem-certificates"],
        "iam-b": ["iam-refresh", "tandem-certificates"],
        "iam-c": ["iam-refresh"],
    }
    secret = [item for item in manifests["iam-a"].items if isinstance(item, File) and "/backup/key" in item.path]
    assert [item.mode for item in secret] == [0o600]


def test_both_nodes_get_the_whole_program_and_a_command_that_runs_it() -> None:
    for node in ("iam-a", "iam-b"):
        files = render(deployment())[node].files()
        folder = "/usr/local/lib/tandem/database_backup/"
        assert {path.removeprefix(folder) for path in files if path.startswith(folder)} == {
            path.name for path in Path("provisioning/programs/database_backup").glob("*.py")
        }
        command = files["/usr/local/lib/tandem/backup"]
        assert command.endswith('cd /usr/local/lib/tandem && exec /usr/bin/python3 -BEm database_backup "$@"\n')
