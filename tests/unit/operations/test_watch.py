"""`tandem status --watch`: on a terminal in place, elsewhere one screen after the other, or lines of JSON."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from operations.status import WATCH_S, GroupStatus, NodeStatus, watch_json, watch_screen

FOUND = GroupStatus(
    "prod", {"10.0.4.99": "203.0.113.10"}, (NodeStatus("iam-a", "10.0.4.20", error="iam-a: no connection [22]"),)
)


class Pauses:
    """The user interrupts the second pause."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) > 1:
            raise KeyboardInterrupt


def watched(*, terminal: bool) -> str:
    shown, pauses = io.StringIO(), Pauses()
    with pytest.raises(KeyboardInterrupt):
        watch_screen(lambda: FOUND, Console(file=shown, width=120, force_terminal=terminal), pauses)
    assert pauses.seconds == [WATCH_S, WATCH_S]
    return shown.getvalue()


def test_without_a_terminal_each_screen_follows_the_last() -> None:
    shown = watched(terminal=False)
    assert shown.count("Stack prod: ") == shown.count("iam-a: no connection [22]") == 2
    assert "\x1b" not in shown


def test_on_a_terminal_each_screen_replaces_the_last() -> None:
    assert "\x1b[1A" in watched(terminal=True)  # the cursor goes up


def test_json_is_one_line_for_each_look() -> None:
    lines: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        watch_json(lambda: FOUND, lines.append, Pauses())
    assert [json.loads(line)["nodes"][0]["name"] for line in lines] == ["iam-a", "iam-a"]
