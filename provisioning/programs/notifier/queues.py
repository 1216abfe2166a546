"""The queue of each receiver on disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .messages import read_event
from .receivers import DeliveryError

EARLIER_S = 600.0  # before the settings were written
LONGEST_QUEUE = 500  # of one receiver; the oldest events are dropped first


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
    """Put each event into all queues, then remove it from the events. Returns the number of events."""
    found = sorted(events.glob("*.json"))
    for path in found:
        with contextlib.suppress(FileNotFoundError):  # event_recorder.py deletes the oldest of very many
            for channel in channels:
                with contextlib.suppress(FileExistsError):  # the power failed between the two
                    os.link(path, channel.folder / path.name)
            path.unlink()
    if found:
        for channel in channels:
            channel.drop_oldest()
    return len(found)


def drop_earlier(events: Path, settings: Path) -> None:
    """Drop events from before the settings were written: a first receiver must not get days of old events."""
    since = settings.stat().st_mtime - EARLIER_S
    for path in events.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < since:
                path.unlink()
