"""What an operator, the timer and the rollout run. One command at a time reads or replaces the database."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

from . import audit_queue, copies, mariadb
from .files import REPLACED, BackupError, new_file, new_name, prune

LOCK = "/run/tandem-backup.lock"


def create(settings: dict[str, Any], own: Path) -> None:
    with _locked(settings):
        errors = [back_up(settings, own)]
        prune(own, settings)
    _raise([*errors, copies.copy_to_peer(settings, own), copies.copy_to_bucket(settings)])


def create_local(settings: dict[str, Any], own: Path) -> None:
    with _locked(settings):
        _warn(back_up(settings, own))


def back_up(settings: dict[str, Any], own: Path, *, replaced: bool = False) -> str:
    """Make a backup and print its name. Returns the error of the queue, or "". Raises BackupError without the dump.

    `replaced`: mark it as data that a restore replaces, so that no later restore takes it as the newest backup.
    """
    own.mkdir(mode=0o700, exist_ok=True)
    for left in own.glob(".*"):
        left.unlink()
    name = new_name(own)
    with new_file(own / f"{name}.sql.gz") as file:
        mariadb.dump(settings["database"], file)
        error = audit_queue.back_up(settings, own / f"{name}.queue")
        if replaced:
            (own / f"{name}{REPLACED}").write_text("the data that a restore replaced\n", encoding="utf-8")
    print(f"created {name}", flush=True)
    return error


@contextlib.contextmanager
def _locked(settings: dict[str, Any]) -> Generator[None]:
    """Wait until no other command reads or replaces the database."""
    with Path(settings.get("lock", LOCK)).open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel releases it when this process ends
        yield


def _raise(errors: Iterable[str]) -> None:
    found = [error for error in errors if error]
    if found:
        raise BackupError("; ".join(found))


def _warn(*errors: str) -> None:
    for error in errors:
        if error:
            print(f"warning: {error}", flush=True)


def restore(settings: dict[str, Any], own: Path, name: str) -> None:
    """Create the lost database from a backup."""
    with _locked(settings):
        mariadb.load(settings["database"], _find_dump(settings, own, name))
    print(f"restored {name}")


def replace(settings: dict[str, Any], own: Path, name: str, *, with_queue: bool, discard: bool) -> None:
    """Replace the database by a backup. All that may fail for a reason outside MariaDB comes before its replacement."""
    with _locked(settings):
        dump = _find_dump(settings, own, name)
        queue = copies.find(settings, own, f"{name}.queue") if with_queue else None
        if queue is not None:
            audit_queue.stage(settings, queue)
        if not discard:
            _keep_present(settings, own)
        mariadb.load(settings["database"], dump)
        print(f"restored {name}", flush=True)
        if queue is not None:
            audit_queue.merge(settings)
            print("restored the queue of audit records")
    if not discard:
        _warn(copies.copy_to_peer(settings, own))


def _keep_present(settings: dict[str, Any], own: Path) -> None:
    try:
        _warn(back_up(settings, own, replaced=True))
    except (BackupError, OSError, subprocess.CalledProcessError) as failed:
        message = f"the present data cannot be backed up, and nothing was replaced: {failed}"
        raise BackupError(f"{message}; `tandem restore --discard` replaces them without a backup") from None


def _find_dump(settings: dict[str, Any], own: Path, name: str) -> Path:
    dump = copies.find(settings, own, f"{name}.sql.gz")
    if dump is None:
        raise BackupError(f"there is no backup {name} on this node or on {settings['peer']}")
    mariadb.verify(dump)
    return dump
