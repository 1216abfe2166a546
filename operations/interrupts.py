"""Signals that end a command which changes nodes."""

from __future__ import annotations

import signal


def interrupt_on_signals() -> None:
    """End as with Ctrl+C when the terminal closes or a job is cancelled, so that what was changed is put back."""
    for ending in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(ending) is not signal.SIG_IGN:  # as with nohup
            signal.signal(ending, signal.default_int_handler)
