#!/usr/bin/python3
"""Backups of MariaDB and of the queue of audit records. Installed on nodes as /usr/local/lib/tandem/backup.

    backup create                       make a backup, delete expired ones, copy to the other node and to the bucket
    backup restore NAME [--audit-queue] replace the database by a backup (and the queue, which may repeat records)
    backup serve                        answer the other node: the forced command of its SSH key

A backup is NAME.sql.gz, and NAME.queue if records were queued; NAME is the time in UTC. A file has its final name only
when it is complete. Standard library only.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any

CONFIGURATION = Path("/etc/tandem/backup.json")
OWN = Path("/srv/tandem/backups")
RECEIVED = Path("/var/lib/tandem-backup/received")
UPLOAD = "/usr/local/lib/tandem/backup-upload"
QUEUE = "analytics-iam-system-analytics"  # the list in Redis (samples/iam/README.md)
_TIME = "%Y%m%dT%H%M%SZ"
_FILE = r"\d{8}T\d{6}Z\.(?:sql\.gz|queue)"
_REQUEST = re.compile(
    rf"list|fetch (?P<fetched>{_FILE})|receive (?P<received>{_FILE}) (?P<size>\d+) (?P<sha256>[0-9a-f]{{64}})"
)
_DUMP_ENDS = b"-- Dump completed"
_BLOCK = 1 << 20
_UTC = timezone.utc  # noqa: UP017 - Python 3.9 has no datetime.UTC


class BackupError(Exception):
    pass


def expired(names: Iterable[str], now: datetime, keep_days: int, keep_weeks: int) -> set[str]:
    """The backups to delete: all but those of the last days, and the newest of each of the last weeks."""
    weeks: dict[tuple[int, int], str] = {}
    kept: set[str] = set()
    for name in sorted(names):
        time = _time_of(name)
        if now - time < timedelta(days=keep_days):
            kept.add(name)
        if now - time < timedelta(weeks=keep_weeks):
            weeks[time.isocalendar()[:2]] = name
    return set(names) - kept - set(weeks.values())


def _time_of(name: str) -> datetime:
    return datetime.strptime(name, _TIME).replace(tzinfo=_UTC)


def _now() -> datetime:
    return datetime.now(_UTC)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name[: -len(".sql.gz")] for path in directory.glob("[0-9]*.sql.gz"))


def _prune(directory: Path, settings: dict[str, Any]) -> None:
    for name in expired(names_in(directory), _now(), settings["keep_days"], settings["keep_weeks"]):
        for file in directory.glob(f"{name}.*"):
            file.unlink()


# ---- create ----------------------------------------------------------------------------------------------------------


def create(settings: dict[str, Any]) -> None:
    if not OWN.parent.is_mount():
        raise BackupError(f"{OWN.parent} is not mounted: the data disk is missing")
    OWN.mkdir(mode=0o700, exist_ok=True)
    for left in OWN.glob(".*"):
        left.unlink()
    name = _now().strftime(_TIME)
    queued = _redis(settings, "--raw", "DUMP", QUEUE).stdout[:-1]  # redis-cli appends a line feed
    if queued:
        with _new_file(OWN / f"{name}.queue") as file:
            file.write(queued)
    _dump(settings["database"], OWN / f"{name}.sql.gz")
    _prune(OWN, settings)
    print(f"created {name}")
    errors = [error for error in (_copy_to_peer(settings), _copy_to_bucket(settings)) if error]
    if errors:
        raise BackupError("; ".join(errors))


@contextlib.contextmanager
def _new_file(target: Path) -> Generator[IO[bytes]]:
    """A file that gets its name when it is complete, and is deleted after an error."""
    part = target.with_name(f".{target.name}")
    try:
        with part.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        part.unlink()
        raise
    part.replace(target)


def _dump(database: str, target: Path) -> None:
    command = ["mariadb-dump", "--single-transaction", "--quick", "--routines", "--events", "--hex-blob", database]
    comment = _sql("SELECT schema_comment FROM information_schema.schemata WHERE schema_name = DATABASE()", database)
    tail = b""
    with _new_file(target) as file:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as dump, gzip.open(file, "wb", 6) as packed:
            output = dump.stdout
            assert output is not None
            for block in iter(lambda: output.read(_BLOCK), b""):
                packed.write(block)
                tail = (tail + block)[-200:]
            # The state of the schema is restored with the data (agent/kinds/database.py).
            packed.write(f"ALTER DATABASE COMMENT '{comment.strip()}';\n".encode())
        if dump.returncode or _DUMP_ENDS not in tail:
            raise BackupError(f"mariadb-dump failed with exit code {dump.returncode}; its messages are above")


def _sql(statement: str, *database: str) -> str:
    return subprocess.run(
        ["mariadb", "--batch", "--skip-column-names", "--raw", *database], input=statement, text=True, check=True,
        stdout=subprocess.PIPE,
    ).stdout  # fmt: skip


def read_environment(file: str) -> dict[str, str]:
    """The variables of an EnvironmentFile (systemd.exec(5)) with one value in double quotes in each line."""
    found = re.findall(r'^(\w+)="(.*)"$', Path(file).read_text(encoding="utf-8"), re.MULTILINE)
    return {name: re.sub(r"\\(.)", r"\1", value) for name, value in found}


def _redis(settings: dict[str, Any], *command: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    connect = ["redis-cli", "-e", "-h", settings["redis_host"], "-p", str(settings["redis_port"])]
    environment = {**os.environ, **read_environment(settings["redis_env"])}
    result = subprocess.run([*connect, *command], input=content, stdout=subprocess.PIPE, env=environment, check=False)
    if result.returncode:
        raise BackupError(f"redis-cli {command[1]} failed: {result.stdout.decode(errors='replace').strip()}")
    return result


# ---- copies ----------------------------------------------------------------------------------------------------------


def _ssh(settings: dict[str, Any], command: str) -> list[str]:
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=10", "ServerAliveInterval=15",
               f"UserKnownHostsFile={settings['known_hosts']}"]  # fmt: skip
    words = [word for option in options for word in ("-o", option)]
    return ["ssh", "-i", settings["key"], *words, f"tandem-backup@{settings['peer']}", command]


def _copy_to_peer(settings: dict[str, Any]) -> str:
    """Send what the other node lacks. Returns the error, or "": the next run repeats a failed copy."""
    listed = subprocess.run(_ssh(settings, "list"), stdout=subprocess.PIPE, text=True, check=False)
    if listed.returncode:
        return f"{settings['peer']} cannot be reached by SSH"
    for name in sorted(set(names_in(OWN)) - set(listed.stdout.split())):
        # The dump is last: with it the backup is complete.
        for file in (OWN / f"{name}.queue", OWN / f"{name}.sql.gz"):
            if file.exists() and _send(settings, file):
                return f"{file.name} was not copied to {settings['peer']}"
    return ""


def _send(settings: dict[str, Any], file: Path) -> int:
    command = f"receive {file.name} {file.stat().st_size} {_sha256(file)}"
    with file.open("rb") as content:
        return subprocess.run(_ssh(settings, command), stdin=content, check=False).returncode


def _copy_to_bucket(settings: dict[str, Any]) -> str:
    if "bucket" in settings and subprocess.run([UPLOAD], check=False).returncode:
        return f"not every backup was uploaded to the bucket {settings['bucket']['name']}"
    return ""


# ---- the other node --------------------------------------------------------------------------------------------------


def serve(settings: dict[str, Any], request: str, received: Path, source: IO[bytes], answer: IO[bytes]) -> None:
    """Answer one request. Files are added and read, never changed; only their age deletes them."""
    found = _REQUEST.fullmatch(request)
    if found is None:
        raise BackupError(f"unknown request {request!r}")
    file = received / (found["fetched"] or found["received"] or "-")
    if found["received"]:
        if _time_of(file.name.partition(".")[0]) > _now() + timedelta(hours=1):
            raise BackupError(f"{file.name} is in the future; compare the clocks of both nodes")
        _receive(file, int(found["size"]), found["sha256"], source)
        _prune(received, settings)
    elif not found["fetched"]:
        answer.write("\n".join(names_in(received)).encode())
    elif file.exists():
        with file.open("rb") as content:
            shutil.copyfileobj(content, answer, _BLOCK)


def _receive(target: Path, size: int, sha256: str, source: IO[bytes]) -> None:
    if target.exists():
        return
    with _new_file(target) as file:
        shutil.copyfileobj(source, file, _BLOCK)
        file.flush()
        if file.tell() != size or _sha256(Path(file.name)) != sha256:
            raise BackupError(f"{target.name} arrived incomplete")


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        for block in iter(lambda: content.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


# ---- restore ---------------------------------------------------------------------------------------------------------


def restore(settings: dict[str, Any], name: str, *, audit_queue: bool) -> None:
    dump = _find(settings, f"{name}.sql.gz")
    if dump is None:
        raise BackupError(f"there is no backup {name} on this node or on {settings['peer']}")
    _verify(dump)
    database = settings["database"]
    # An interrupted restore leaves this comment: the rollout then refuses the database (agent/kinds/database.py).
    options = "DEFAULT CHARACTER SET utf8mb4 COMMENT 'schema loading by tandem'"
    _sql(f"DROP DATABASE IF EXISTS `{database}`; CREATE DATABASE `{database}` {options};")
    with subprocess.Popen(["mariadb", database], stdin=subprocess.PIPE) as load, gzip.open(dump) as content:
        assert load.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            shutil.copyfileobj(content, load.stdin, _BLOCK)
        load.stdin.close()
    if load.returncode:
        raise BackupError(f"{dump} cannot be loaded; the messages of mariadb are above")
    print(f"restored {name}")
    queue = _find(settings, f"{name}.queue") if audit_queue else None
    if queue is not None:
        _redis(settings, "-x", "RESTORE", QUEUE, "0", content=queue.read_bytes())
        print("restored the queue of audit records")


def _find(settings: dict[str, Any], name: str) -> Path | None:
    """The file on this node, after fetching it from the other node if necessary."""
    own = OWN / name
    if not own.exists():
        OWN.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(BackupError), _new_file(own) as file:
            fetched = subprocess.run(_ssh(settings, f"fetch {name}"), stdout=file, check=False)
            if fetched.returncode or not Path(file.name).stat().st_size:
                raise BackupError(f"{settings['peer']} has no {name}")
    return own if own.exists() else None


def _verify(dump: Path) -> None:
    """Read the whole file before the database is replaced."""
    tail = b""
    try:
        with gzip.open(dump) as content:
            for block in iter(lambda: content.read(_BLOCK), b""):
                tail = (tail + block)[-1000:]
    except (OSError, EOFError) as damaged:
        raise BackupError(f"{dump} is damaged: {damaged}") from None
    if _DUMP_ENDS not in tail:
        raise BackupError(f"{dump} is incomplete")


def main(arguments: list[str]) -> None:
    settings = json.loads(CONFIGURATION.read_text(encoding="utf-8"))
    os.umask(0o077)
    if arguments == ["create"]:
        create(settings)
    elif arguments[:1] == ["restore"] and len(arguments) in (2, 3):
        restore(settings, arguments[1], audit_queue=arguments[2:] == ["--audit-queue"])
    elif arguments == ["serve"]:
        request = os.environ.get("SSH_ORIGINAL_COMMAND", "")
        serve(settings, request, RECEIVED, sys.stdin.buffer, sys.stdout.buffer)
    else:
        raise BackupError(__doc__ or "")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (BackupError, OSError, subprocess.CalledProcessError) as failed:
        sys.exit(f"backup: {failed}")
