"""Reports to the event recorder (event_recorder.py has the format)."""

from __future__ import annotations

import os

from .judgement import Tracker


class Events:
    """Never waits; without a recorder it does nothing."""

    def __init__(self, fifo: str) -> None:
        self._fifo = fifo
        self._reported: dict[str, bool] = {}  # whether a subject was reported as failed
        self._covered: set[str] = set()  # subjects that failed with their host

    def judge(self, subject: str, *, failing: bool, seen: str = "", host: Tracker | None = None) -> None:
        """Report a failure and its end once. A failure of the host is reported, and not each of its services."""
        if not failing:
            self._covered.discard(subject)
        elif host is not None and host.failing:
            self._covered.add(subject)
        state = failing and subject not in self._covered
        if state != self._reported.setdefault(subject, state):  # the first state is no event
            self._reported[subject] = state
            self._write(f'HEALTH "{subject}" failed {seen}'.rstrip() if state else f'HEALTH "{subject}" healthy')

    def report_second_master(self, router: str) -> None:
        """In keepalived's words, as it reports an advertisement that it hears from another master."""
        self._write(f'INSTANCE "{router}" MASTER_RX_LOWER_PRI 0')

    def _write(self, line: str) -> None:
        try:
            fd = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # the recorder does not run
            return
        try:
            os.write(fd, line.encode() + b"\n")
        except OSError:  # the FIFO is full
            pass
        finally:
            os.close(fd)
