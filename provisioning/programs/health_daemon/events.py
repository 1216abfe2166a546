"""Reports to the event recorder (event_recorder.py has the format)."""

from __future__ import annotations

import os

from .judgement import Tracker


class Events:
    """Never waits. What no recorder has read is reported again with the next judgement."""

    def __init__(self, fifo: str) -> None:
        self._fifo = fifo
        self._reported: dict[str, bool] = {}  # whether a subject was reported as failed
        self._told: set[str] = set()  # subjects whose state the recorder knows from this daemon
        self._covered: set[str] = set()  # subjects that failed with their host

    def judge(
        self, subject: str, *, failing: bool, seen: str = "", host: Tracker | None = None, certain: bool = False
    ) -> None:
        """Report a failure and its end once. A failure of the host is reported, and not each of its services.

        The first state is no event, because a tracker begins with an assumption. A `certain` one is written: an earlier
        daemon may have reported the opposite. The recorder ignores a state that it knows.
        """
        if not failing:
            self._covered.discard(subject)
        elif host is not None and host.failing and not self._reported.get(subject):
            self._covered.add(subject)
        state = failing and subject not in self._covered
        is_new = state != self._reported.setdefault(subject, state)
        is_first = certain and state == failing and subject not in self._told
        line = f'HEALTH "{subject}" failed {seen}'.rstrip() if state else f'HEALTH "{subject}" healthy'
        if (is_new or is_first) and self._write(line):
            self._reported[subject] = state
            self._told.add(subject)

    def judge_tracker(
        self, subject: str, tracker: Tracker, *, host: Tracker | None = None, boots: bool = False
    ) -> None:
        """While the node `boots`, a failure is none."""
        self.judge(
            subject, failing=tracker.failing and not boots, seen=tracker.seen, host=host,
            certain=tracker.last_ok >= 0 and not boots,
        )  # fmt: skip

    def report_second_master(self, router: str) -> None:
        """In keepalived's words, as it reports an advertisement that it hears from another master."""
        self._write(f'INSTANCE "{router}" MASTER_RX_LOWER_PRI 0')

    def _write(self, line: str) -> bool:
        try:
            fd = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # the recorder does not run
            return False
        try:
            os.write(fd, line.encode() + b"\n")
        except OSError:  # the FIFO is full
            return False
        finally:
            os.close(fd)
        return True
