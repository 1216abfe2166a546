"""The queue of each receiver on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .messages import read_event
from .receivers import DeliveryError

EARLIER_S = 600.0  # before the settings were written
LONGEST_QUEUE = 500  # of one receiver; the oldest events are dropped first
_RECEIVER = ".receiver"  # in the folder of a queue: a hash of the receiver's address
_MOVED = ".moved"


class Channel:
    """One receiver and its queue."""

    def __init__(self, name: str, receiver: Any, folder: Path, report: Callable[[str], None]) -> None:
        self.name, self.folder = name, folder
        self._receiver, self._report = receiver, report
        self._failed = False

    def queue(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    def send_all(self, timeout_s: float, stop: Callable[[], bool]) -> bool:
        """Send the queue in order until it is empty or an event is not confirmed. Returns whether it is empty."""
        for path in self.queue():
            if stop():
                return False
            try:
                event = read_event(path)
            except FileNotFoundError:  # just dropped from the full queue
                continue
            try:
                self._receiver.send(event, timeout_s)
            except DeliveryError as error:
                return self._fail(str(error))
            except Exception as error:  # noqa: BLE001 - of `email` or `smtplib`; the thread must not end
                return self._fail(f"{type(error).__name__} while the event was sent")  # its text may contain a secret
            with contextlib.suppress(FileNotFoundError):  # dropped meanwhile
                path.unlink()
            if self._failed:
                self._report(f"{self.name}: confirmed again")
            self._failed = False
        return True

    def _fail(self, reason: str) -> bool:
        if not self._failed:
            self._report(f"{self.name}: {reason}; the event is sent again until it is confirmed")
        self._failed = True
        return False

    def drop_oldest(self) -> None:
        for path in self.queue()[:-LONGEST_QUEUE]:
            self._report(f"{self.name}: the queue is full; {path.name} is dropped")
            with contextlib.suppress(FileNotFoundError):  # just confirmed
                path.unlink()


def distribute(events: Path, channels: list[Channel]) -> int:
    """Put each event into all queues, then remove it from the events. Returns the number of events.

    Raises OSError, for example if the disk is full; the event is then not in any queue.
    """
    found = sorted(events.glob("*.json"))
    for path in found:
        with contextlib.suppress(FileNotFoundError):  # event_recorder.py deletes the oldest of very many
            _put_into_all(path, [channel.folder for channel in channels])
            path.unlink()
    if found:
        for channel in channels:
            channel.drop_oldest()
    return len(found)


def _put_into_all(path: Path, folders: list[Path]) -> None:
    """Create all links, then rename them: if a link fails, no receiver may get the event now and again later."""
    links = [folder / f"{path.name}.new" for folder in folders]
    try:
        for link in links:
            link.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # the power failed before the rename
                os.link(path, link)
    except OSError:
        for link in links:
            with contextlib.suppress(OSError):
                link.unlink()
        raise
    for link in links:
        link.replace(link.with_suffix(""))
        link.unlink(missing_ok=True)  # `replace` does nothing if both are links to one file


def drop_earlier(events: Path, settings: Path) -> None:
    """Drop events from before the settings were written: a first receiver must not get days of old events."""
    since = settings.stat().st_mtime - EARLIER_S
    for path in events.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < since:
                path.unlink()


def follow_receivers(queues: Path, receivers: list[dict[str, Any]]) -> None:
    """Rename the queues of receivers whose names have changed: without webhooks[0], webhooks[1] gets its name.

    Otherwise the events that wait for one receiver would be sent to another. A queue keeps its name if its receiver
    does not have another one: after a correction of the URL, the waiting events are sent to the new URL.
    """
    identities = {given["name"]: _identity(given) for given in receivers}
    known = {folder.name: _read(folder / _RECEIVER) for folder in queues.iterdir()}
    moves: dict[str, str] = {}
    for name, identity in identities.items():
        others = [other for other, found in known.items() if found == identity and identities.get(other) != identity]
        if known.get(name) != identity and others:
            moves[others[0]] = name
    for before in moves:
        (queues / before).rename(queues / f"{before}{_MOVED}")
    for before, name in moves.items():
        delete(queues / name)
        (queues / f"{before}{_MOVED}").rename(queues / name)
    for name, identity in identities.items():
        (queues / name).mkdir(parents=True, exist_ok=True)
        if _read(queues / name / _RECEIVER) != identity:
            with contextlib.suppress(OSError):  # the disk is full
                (queues / name / _RECEIVER).write_text(identity, encoding="ascii")


def delete(folder: Path) -> None:
    for path in folder.iterdir() if folder.exists() else ():
        path.unlink()
    if folder.exists():
        folder.rmdir()


def _identity(given: dict[str, Any]) -> str:
    """Hash of the receiver's address; a URL may contain a secret."""
    place = [given["kind"], given.get("url"), given.get("server"), given.get("receivers")]
    return hashlib.sha256(json.dumps(place).encode()).hexdigest()[:16]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
