"""The threads: one distributes the events, and each receiver has another."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Optional

from .queues import Channel, delete, distribute, drop_earlier, follow_receivers
from .receivers import Http, Mail

EVENTS = Path("/var/lib/tandem/events")
QUEUES = Path("/var/lib/tandem/notifications")
TIMEOUT_S = 10.0
LAST_TIMEOUT_S = 3.0  # of each attempt after SIGTERM
POLL_S = 0.5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


class Notifier:
    """The threads of all channels."""

    def __init__(self, channels: list[Channel], events: Path = EVENTS) -> None:
        self._channels, self._events = channels, events
        self._stopping = threading.Event()
        self._distributed = threading.Event()  # what was written until the stop
        self._new = [threading.Event() for _ in channels]
        self._failed = ""  # why the events could not be distributed

    def run(self) -> None:
        """Send until `stop`, then send every queue once more."""
        threads = [
            threading.Thread(target=self._run_channel, args=(channel, new), daemon=True)
            for channel, new in zip(self._channels, self._new)  # noqa: B905 - Python 3.9 has no `strict`
        ]
        for thread in threads:
            thread.start()
        while not self._stopping.wait(POLL_S):
            self._distribute()
        self._distribute()
        self._distributed.set()
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        self._stopping.set()
        for new in self._new:
            new.set()

    def _distribute(self) -> None:
        try:
            found = distribute(self._events, self._channels)
        except OSError as error:
            if str(error) != self._failed:
                print(f"the events stay in {self._events}: {error}", file=sys.stderr, flush=True)
            self._failed = str(error)
            return
        self._failed = ""
        if found:
            for new in self._new:
                new.set()

    def _run_channel(self, channel: Channel, new: threading.Event) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            new.clear()
            if channel.send_all(TIMEOUT_S, self._stopping.is_set):
                pause_s = FIRST_PAUSE_S
                new.wait()
            else:
                self._stopping.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        self._distributed.wait()
        channel.send_all(LAST_TIMEOUT_S, lambda: False)


def make_channels(settings: Mapping[str, Any], queues: Path, report: Callable[[str], None]) -> list[Channel]:
    """Create the queues; delete those of receivers that were removed from the settings."""
    follow_receivers(queues, settings["receivers"])
    channels: list[Channel] = []
    for given in settings["receivers"]:
        receiver = (Mail if given["kind"] == "mail" else Http)(given)
        channels.append(Channel(given["name"], receiver, queues / given["name"], report))
    kept = {channel.folder for channel in channels}
    for folder in queues.iterdir():
        if folder not in kept:
            delete(folder)
    return channels


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for folder in (EVENTS, QUEUES):
        folder.mkdir(parents=True, exist_ok=True)
    drop_earlier(EVENTS, Path(sys.argv[1]))
    notifier = Notifier(make_channels(settings, QUEUES, lambda line: print(line, file=sys.stderr, flush=True)))

    def stop(_number: int, _frame: Optional[FrameType]) -> None:  # noqa: UP045 - Python 3.9
        notifier.stop()

    signal.signal(signal.SIGTERM, stop)
    notifier.run()
