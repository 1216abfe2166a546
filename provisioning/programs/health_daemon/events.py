"""Reports to the event recorder (event_recorder.py has the format)."""

from __future__ import annotations

import os

from .judgement import Tracker


class Events:
    """Never blocks. A state that could not be written is reported with the next judgement."""

    def __init__(self, fifo: str) -> None:
        self._fifo = fifo
        self._reported: dict[str, bool] = {}  # whether a subject was reported as failed
        self._written: set[str] = set()  # subjects whose state this daemon has reported
        self._covered: set[str] = set()  # subjects that failed with their host

    def judge(
        self, subject: str, *, failing: bool, seen: str = "", host: Tracker | None = None, certain: bool = False
    ) -> None:
        """Report a failure and its end once. If a host fails, only the host is reported, not its services.

        The first state is reported only if it is `certain`, because a tracker begins with an assumption. An earlier
        daemon may have reported the opposite state; the recorder ignores a state that it knows.
        """
        if not failing:
            self._covered.discard(subject)
        elif host is not None and host.failing and not self._reported.get(subject):
            self._covered.add(subject)
        state = failing and subject not in self._covered
        is_new = state != self._reported.setdefault(subject, state)
        is_first = certain and state == failing and subject not in self._written
        line = f'HEALTH "{subject}" failed {seen}'.rstrip() if state else f'HEALTH "{subject}" healthy'
        if (is_new or is_first) and self._write(line):
            self._reported[subject] = state
            self._written.add(subject)

    def judge_tracker(
        self, subject: str, tracker: Tracker, *, host: Tracker | None = None, boots: bool = False
    ) -> None:
        """Judge a tracker. A failure while the node `boots` is not reported."""
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
