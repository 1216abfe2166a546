"""A drill as JSON data and as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from operations.drill.timeline import TOTALS
from operations.errors import OperationError

VERSION = 1
_NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how a drill was run."""

    stack: str
    profile: str
    placement: str  # of the databases, for example "on iam-a"
    scale: float  # of the request rates
    started: str  # UTC


def make_report(setting: Setting, cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON data of a drill."""
    return {"version": VERSION, **asdict(setting), "cases": list(cases)}


def read_report(path: Path) -> dict[str, Any]:
    """Read a report that `tandem drill` has written. Raises OperationError."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OperationError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise OperationError(f"{path} cannot be read: {error}") from None
    if not isinstance(report, dict) or report.get("version") != VERSION:
        raise OperationError(f"{path} must be a result of `tandem drill` (--json) of this version")
    return report


def blackout(figures: Mapping[str, Any]) -> str:
    value = figures["blackout_ms"]
    return _NO_ANSWER if value is None else f"{value:.0f} ms"


def after_undo(figures: Mapping[str, Any]) -> tuple[str, str]:
    """The lost requests and the blackout after the undo; "-" if there was no undo, or no request after it."""
    recovery = figures["recovery"]
    return (str(recovery["lost"]), blackout(recovery)) if recovery["sent"] else ("-", "-")


def streams_of(case: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The figures of each stream, without those of groups of streams."""
    return sorted((name, found) for name, found in case["figures"].items() if name not in TOTALS)


def make_table(report: Mapping[str, Any]) -> Table:
    title = f"Drill of stack {report['stack']}: profile {report['profile']}, databases {report['placement']}"
    table = Table("fault", "requests", "sent", "lost", "slow", "blackout", "after the undo", title=title,
                  title_justify="left")  # fmt: skip
    for case in report["cases"]:
        if "figures" not in case:
            table.add_row(Text(case["title"]), Text(case["error"] or f"skipped: {case['skipped']}"))
            table.add_section()
            continue
        for number, (name, figures) in enumerate(streams_of(case)):
            lost, longest = after_undo(figures)
            after = f"{lost} lost, {longest}" if figures["recovery"]["sent"] else "-"
            bad = "red" if figures["lost"] else ""
            table.add_row(
                Text("" if number else case["title"]), Text(name), str(figures["sent"]),
                Text(str(figures["lost"]), bad), str(figures["slow"]), Text(blackout(figures)), Text(after),
            )  # fmt: skip
        table.add_section()
    table.caption = (
        "lost: no correct response within 2 s; slow: later than 250 ms; blackout: longest time without one, "
        "at least the time between two requests"
    )
    return table
