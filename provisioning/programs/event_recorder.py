"""Records what keepalived and the health daemon report, in order. Standard library only.

keepalived writes its notifications to a FIFO, and the health daemon writes to the same one, so that all events of a
node have one order. For each event this program updates the state, appends a line to keepalived's log and queues a
file for the notifications:

FIFO     `INSTANCE "VI_1" MASTER 250` (keepalived), `HEALTH "nginx" failed TEXT` (the health daemon)
state    /run/tandem/state.json: {"vrrp": {"VI_1": EVENT}, "health": {"nginx": EVENT}}, the newest event of each subject
log      /var/log/keepalived.log: `[2026-11-27 15:04:05] notify_master`, as in the lectures; the name
         of the instance follows if there are several
master   /run/tandem/master/VI_1 exists while this node is master; nginx serves it to the peer's health daemon
queue    /var/lib/tandem/events/000000000017.json: one EVENT; only complete files have this name. The sender deletes a
         file when it has been sent; the lowest number is the oldest event.

EVENT = {"sequence": 17, "at": "2026-11-27T15:04:05.123456+00:00", "group": "iam", "node": "iam-a", "kind": "vrrp" |
"health", "subject": "VI_1" | "nginx" | ..., "address": "10.0.4.99" | "", "state": "MASTER" | "BACKUP" | "FAULT" |
"STOP" | "SECOND_MASTER" | "failed" | "healthy", "previous": the state before or "", "seen": text or ""}
"""

# ruff: noqa: PTH103, PTH105, PTH108, PTH116, PTH123, PTH208 - pathlib and its imports would cost this daemon 1 MB
from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections import deque
from typing import Any

Event = dict[str, Any]

RUN = "/run/tandem"
FIFO = f"{RUN}/events"
STATE_FILE = f"{RUN}/state.json"
MASTER_DIRECTORY = f"{RUN}/master"
LOG = "/var/log/keepalived.log"
QUEUE = "/var/lib/tandem/events"
SEQUENCE_FILE = "/var/lib/tandem/event-sequence"
LONGEST_QUEUE = 1000  # a receiver that is away for days must not fill the disk
QUIET_S = 10.0  # keepalived reports a second master with each advertisement that it receives
RETRY_S = 1.0  # after a failed write, for example to a full disk

# keepalived's word for an advertisement of a node that considers itself master too.
SECOND_MASTER = "MASTER_RX_LOWER_PRI"
_STATES = ("MASTER", "BACKUP", "FAULT", "STOP")


class Events:
    """Turns the lines of the FIFO into events. `addresses` are the virtual IPs by VRRP instance. Pure."""

    def __init__(self, group: str, node: str, addresses: dict[str, str], state: dict[str, dict[str, Event]],
                 sequence: int) -> None:  # fmt: skip
        self._group, self._node, self._addresses = group, node, addresses
        self.state = {"vrrp": {}, "health": {}, **state}
        self.sequence = sequence
        self._second_master: dict[str, float] = {}  # when its last advertisement was received, by instance

    def event(self, line: str, *, at: str, now: float) -> Event | None:
        """Return the event of a line, or None if the line repeats the current state or is not for us.

        `at` is the wall clock for people; `now` (seconds, monotonic) decides.
        """
        kind, _, rest = line.partition(" ")
        subject, _, rest = rest.lstrip().removeprefix('"').partition('"')
        word, _, seen = rest.strip().partition(" ")
        if kind == "INSTANCE" and word == SECOND_MASTER:
            last, self._second_master[subject] = self._second_master.get(subject), now
            if last is not None and now - last < QUIET_S:
                return None
            return self._new("vrrp", subject, "SECOND_MASTER", at, "another node sends advertisements as master")
        if kind == "INSTANCE" and word in _STATES:
            changed = self._new("vrrp", subject, word, at, "")
            if changed:
                self._second_master.pop(subject, None)
            return changed
        if kind == "HEALTH" and word in ("failed", "healthy"):
            return self._new("health", subject, word, at, seen)
        return None

    def _new(self, kind: str, subject: str, state: str, at: str, seen: str) -> Event | None:
        previous = self.state[kind].get(subject, {}).get("state", "")
        if state == previous or (state == "healthy" and not previous):  # keepalived repeats its state after a reload
            return None
        self.sequence += 1
        event: Event = {
            "sequence": self.sequence, "at": at, "group": self._group, "node": self._node, "kind": kind,
            "subject": subject, "address": self._addresses.get(subject, ""), "state": state, "previous": previous,
            "seen": seen,
        }  # fmt: skip
        if state != "SECOND_MASTER":  # the node is still master
            self.state[kind][subject] = event
        return event


def log_line(event: Event, clock: str, *, several: bool) -> str:
    if event["kind"] == "vrrp":
        words = [f"notify_{event['state'].lower()}", event["subject"] if several else ""]
    else:
        words = [event["subject"], event["state"], event["seen"]]
    return f"[{clock}] " + " ".join(str(word) for word in words if word)


def write(path: str, text: str) -> None:
    """Replace a file atomically."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def append(path: str, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text + "\n")


def queued(queue: str) -> list[str]:
    """The names of the queued events, the oldest first."""
    return sorted(name for name in os.listdir(queue) if name.endswith(".json"))


def finish_interrupted(queue: str) -> None:
    """Queue the event that was written when this program or the node ended, if it is complete."""
    for name in os.listdir(queue):
        if name.endswith(".json.new"):
            path = f"{queue}/{name}"
            if read_json(path, None) is None:
                os.unlink(path)
            else:
                os.replace(path, path.removesuffix(".new"))


def add_to_queue(queue: str, sequence_file: str, event: Event) -> None:
    write(sequence_file, f"{event['sequence']}\n")
    write(f"{queue}/{event['sequence']:012d}.json", json.dumps(event) + "\n")
    for name in queued(queue)[:-LONGEST_QUEUE]:
        os.unlink(f"{queue}/{name}")


def read_json(path: str, default: object) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return default


def read_word(path: str) -> str:
    """The first word of a file of /run/tandem; "" if there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return (file.read().split() or [""])[0]
    except (OSError, ValueError):
        return ""


class Fifo:
    """The FIFO, opened for reading and writing: a reader alone would see its end when keepalived stops."""

    def __init__(self, path: str) -> None:
        self._path, self._rest = path, b""
        self.fd = self._open()

    def _open(self) -> int:
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._path, 0o600)
        return os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def lines(self) -> list[str]:
        """The complete lines that have arrived."""
        with contextlib.suppress(BlockingIOError):
            self._rest += os.read(self.fd, 65536)
        *lines, self._rest = self._rest.split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def reopen_if_replaced(self) -> None:
        """Open the FIFO again after keepalived, at its end, has removed one that it had created."""
        try:
            same = os.stat(self._path).st_ino == os.fstat(self.fd).st_ino
        except FileNotFoundError:
            same = False
        if not same:
            os.close(self.fd)
            self.fd = self._open()


class Recorder:
    def __init__(self, settings: dict[str, Any], root: str = "") -> None:
        """`root` is a directory instead of / in tests."""
        self._state_file, self._master, self._log, self._queue, self._sequence_file = (
            root + path for path in (STATE_FILE, MASTER_DIRECTORY, LOG, QUEUE, SEQUENCE_FILE)
        )
        self._run = root + RUN
        os.makedirs(self._queue, exist_ok=True)
        os.makedirs(self._master, exist_ok=True)
        finish_interrupted(self._queue)
        newest = int((queued(self._queue) or ["0"])[-1].partition(".")[0])
        sequence = max(newest, int(str(read_json(self._sequence_file, 0))))
        state = read_json(self._state_file, {})
        self._events = Events(settings["group"], settings["node"], settings["addresses"], state, sequence)
        self._several = len(settings["addresses"]) > 1
        self._waiting: deque[Event] = deque(maxlen=LONGEST_QUEUE)  # not on disk yet

    def record(self, line: str) -> None:
        seconds = time.time()
        local = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
        utc = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e6):06d}+00:00"
        event = self._events.event(line, at=utc, now=time.monotonic())
        if event is None:
            return
        if event["kind"] == "vrrp" and not event["seen"]:
            event["seen"] = self._reports(event["subject"])
        self._waiting.append(event)
        try:
            if event["kind"] == "vrrp":
                self._mark_master(event["subject"])
            write(self._state_file, json.dumps(self._events.state) + "\n")
            append(self._log, log_line(event, local, several=self._several))
        except OSError as error:
            print(f"{error}: {line}", file=sys.stderr)

    def _reports(self, instance: str) -> str:
        """What keepalived was told about this node when its state changed, and whether the peer could take over."""
        files = {"nginx": "nginx", "drain": f"drain-{instance}", "peer": "peer"}
        words = {name: read_word(f"{self._run}/{file}") for name, file in files.items()}
        return ", ".join(f"{name} {word}" for name, word in words.items() if word)

    def _mark_master(self, instance: str) -> None:
        mark = f"{self._master}/{instance}"
        if self._events.state["vrrp"].get(instance, {}).get("state") == "MASTER":
            append(mark, "")
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(mark)

    def flush(self) -> None:
        """Queue the events. Raises OSError, for example if the disk is full; then they stay in memory, in order."""
        while self._waiting:
            add_to_queue(self._queue, self._sequence_file, self._waiting[0])
            self._waiting.popleft()

    def run_once(self, fifo: Fifo) -> None:
        for line in fifo.lines():
            self.record(line)
        try:
            self.flush()
        except OSError as error:
            print(f"cannot queue events in {self._queue}: {error}", file=sys.stderr)


def _note(signal_number: int, frame: object) -> None:
    """Python writes the number of a signal to the wakeup pipe only if the signal has a handler."""


def main() -> None:
    settings = read_json(sys.argv[1], {})
    fifo, recorder = Fifo(FIFO), Recorder(settings)
    stop_read, stop_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(stop_write)
    signal.signal(signal.SIGTERM, _note)
    poll = select.poll()
    poll.register(stop_read, select.POLLIN)
    stopped = False
    while not stopped:
        poll.register(fifo.fd, select.POLLIN)
        stopped = any(fd == stop_read for fd, _ in poll.poll(int(RETRY_S * 1000)))
        # keepalived stops before this unit, so its last notification is in the FIFO.
        recorder.run_once(fifo)
        before = fifo.fd
        fifo.reopen_if_replaced()
        if fifo.fd != before:
            poll.unregister(before)


if __name__ == "__main__":
    main()
