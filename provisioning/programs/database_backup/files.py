"""The files of backups."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Generator, Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any

BLOCK = 1 << 20
REPLACED = ".replaced"  # the mark of a backup of data that a restore replaced
_TIME = "%Y%m%dT%H%M%SZ"
_ORPHAN_S = 86400.0  # a file without its dump may be one that is just being copied
_UTC = timezone.utc  # noqa: UP017 - Python 3.9 has no datetime.UTC


class BackupError(Exception):
    pass


def expired(names: Iterable[str], now: datetime, keep_days: int, keep_weeks: int) -> set[str]:
    """The backups to delete: all but those of the last days, and the newest of each of the last weeks."""
    weeks: dict[tuple[int, int], str] = {}
    kept: set[str] = set()
    for name in sorted(names):
        time = time_of(name)
        if now - time < timedelta(days=keep_days):
            kept.add(name)
        if now - time < timedelta(weeks=keep_weeks):
            weeks[time.isocalendar()[:2]] = name
    return set(names) - kept - set(weeks.values())


def time_of(name: str) -> datetime:
    return datetime.strptime(name, _TIME).replace(tzinfo=_UTC)


def now_utc() -> datetime:
    return datetime.now(_UTC)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name[: -len(".sql.gz")] for path in directory.glob("[0-9]*.sql.gz"))


def new_name(directory: Path) -> str:
    """The time in UTC, which no backup in the directory has."""
    while (directory / f"{(name := now_utc().strftime(_TIME))}.sql.gz").exists():
        time.sleep(0.1)
    return name


def prune(directory: Path, settings: dict[str, Any]) -> None:
    for name in expired(names_in(directory), now_utc(), settings["keep_days"], settings["keep_weeks"]):
        for file in directory.glob(f"{name}.*"):
            file.unlink()
    for file in directory.glob("[0-9]*Z.*"):
        without_dump = not (directory / f"{file.name.partition('.')[0]}.sql.gz").exists()
        if without_dump and file.stat().st_mtime < time.time() - _ORPHAN_S:
            file.unlink()


@contextlib.contextmanager
def new_file(target: Path) -> Generator[IO[bytes]]:
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


def sha256_of(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        for block in iter(lambda: content.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()
