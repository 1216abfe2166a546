"""A drill as one self-contained HTML page, with the same faults of another drill beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from operations.drill.report import after_undo, blackout, streams_of
from operations.drill.timeline import BIN_S

_WIDTH, _LEFT = 900, 110  # of a timeline, and of its labels
_LANE, _GAP = 26, 6
_AXIS = 22
_LETTER = 8  # width of a letter
_MARGIN = 20  # for a label at the end of the axis
_CLASSES = ("correct", "slow", "lost")
_ZOOM_BEFORE_S = 0.1
_STEPS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 600, 3600)
_MOST_TICKS = 10


@dataclass(frozen=True, slots=True)
class Shape:
    """A rectangle or a label of a timeline."""

    x: float
    y: float
    width: float
    height: float
    kind: str  # the CSS class
    title: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    x: float
    y: float
    text: str
    kind: str = "label"


@dataclass
class Timeline:
    height: float
    shapes: list[Shape] = field(default_factory=list[Shape])
    labels: list[Label] = field(default_factory=list[Label])


def render_page(report: Mapping[str, Any], beside: Mapping[str, Any] | None = None) -> str:
    """The page of a drill. `beside` is another drill, usually of the profile `seed`."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = resources.files("operations.drill").joinpath("page.html.j2").read_text(encoding="utf-8")
    others = {(case["fault"], case["on"]): case for case in (beside or {"cases": []})["cases"]}
    rows = [
        [_column(case, report), *([_column(other, beside)] if beside and (other := others.get(_key(case))) else [])]
        for case in report["cases"]
    ]
    return environment.from_string(text).render(report=report, beside=beside, rows=rows, width=_WIDTH)


def _key(case: Mapping[str, Any]) -> tuple[str, str]:
    return case["fault"], case["on"]


def _column(case: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows of a case."""
    column: dict[str, Any] = {"case": case, "profile": report["profile"], "timelines": [], "figures": []}
    if "figures" not in case:
        return column
    column["figures"] = [
        {"name": name, **found, "blackout": blackout(found), "after": after_undo(found)}
        for name, found in streams_of(case)
    ]
    worst_s = (case["figures"]["GET"]["blackout_ms"] or 0) / 1000
    zoom_s = min(case["ended"], max(0.5, 1.6 * worst_s))
    column["timelines"] = [
        {"name": "around the fault", "drawing": draw(case, -_ZOOM_BEFORE_S, zoom_s)},
        {"name": "with the recovery", "drawing": draw(case, case["began"], case["ended"])},
    ]
    return column


def draw(case: Mapping[str, Any], began: float, ended: float) -> Timeline:
    """Requests, masters and log lines of a case between two times, in seconds since its first injection."""
    lanes = [*sorted(case["requests"]), *[f"VRRP {node}" for node in sorted(case["vrrp"])]]
    lanes += ["HAVIP"] if case["havip"] else []
    lanes.append("log")
    timeline = Timeline(height=_AXIS + len(lanes) * (_LANE + _GAP))
    scale = (_WIDTH - _LEFT) / (ended - began)

    def add(lane: int, span: tuple[float, float], kind: str, title: str, *, share: float = 1.0, name: str = "") -> None:
        left, right = max(span[0], began), min(span[1], ended)
        if right > left:
            top = _AXIS + lane * (_LANE + _GAP) + _LANE * (1 - share)
            width = max(0.8, (right - left) * scale)
            x = _LEFT + (left - began) * scale
            timeline.shapes.append(Shape(x, top, width, _LANE * share, kind, title))
            if name and width > _LETTER * len(name):
                timeline.labels.append(Label(x + width / 2, top + _LANE * 0.65, name, f"inside {kind}"))

    _add_phases(case, timeline, began, ended, scale)
    for number, lane in enumerate(lanes):
        timeline.labels.append(Label(_LEFT - 8, _AXIS + number * (_LANE + _GAP) + _LANE * 0.65, lane, "lane"))
        if lane in case["requests"]:
            for span, title, kind, share in _request_bars(case["requests"][lane]):
                add(number, span, kind, title, share=share)
        elif lane.startswith("VRRP "):
            for start, end, state in _spans(case["vrrp"][lane.removeprefix("VRRP ")], case["ended"]):
                add(number, (start, end), f"vrrp {state.lower()}", f"{state} from {start:+.3f} s", name=state)
        elif lane == "HAVIP":
            for start, end, node in _spans(case["havip"], case["ended"]):
                add(number, (start, end), "havip", f"the HAVIP follows {node} from {start:+.3f} s", name=node)
        else:
            for at, node, unit, text in case["log"]:
                add(number, (at, at + 1.5 / scale), "line", f"{at:+.3f} s {node} {unit}: {text}")
    _add_axis(timeline, began, ended, scale)
    return timeline


def _request_bars(segments: Sequence[Sequence[int]]) -> list[tuple[tuple[float, float], str, str, float]]:
    """The bars of a stream: time, title, class, and share of the lane's height."""
    bars: list[tuple[tuple[float, float], str, str, float]] = []
    for first, count, *counts in segments:
        span = (first * BIN_S, (first + count) * BIN_S)
        total, below = sum(counts), 0
        title = f"{span[0]:+.2f} s: " + ", ".join(f"{n} {kind}" for n, kind in zip(counts, _CLASSES, strict=True) if n)
        # The worst class is drawn on top of the others, and at least a third of the lane is visible.
        for number, kind in zip(counts, _CLASSES, strict=True):
            if number:
                share = 1.0 if below == 0 else max(0.34, (total - below) / total)
                bars.append((span, title, kind, share))
            below += number
    return bars


def _spans(changes: Sequence[Sequence[Any]], ended: float) -> list[tuple[float, float, str]]:
    ends = [float(change[0]) for change in changes[1:]] + [ended]
    return [(float(at), end, str(name)) for (at, name), end in zip(changes, ends, strict=True)]


def _add_phases(case: Mapping[str, Any], timeline: Timeline, began: float, ended: float, scale: float) -> None:
    for injection in case["injections"]:
        at, undone = injection["at"], injection["undone"]
        until = undone if undone is not None else injection["ready"] or ended
        left, right = max(at, began), min(until, ended)
        if right > left:
            x = _LEFT + (left - began) * scale
            title = f"{case['title']} ({', '.join(injection['nodes'])})"
            height = timeline.height - _AXIS
            timeline.shapes.append(Shape(x, _AXIS, (right - left) * scale, height, "fault", title))


def _add_axis(timeline: Timeline, began: float, ended: float, scale: float) -> None:
    step = next(each for each in _STEPS_S if (ended - began) / each <= _MOST_TICKS)
    for number in range(math.ceil(began / step), math.floor(ended / step) + 1):
        at = number * step
        x = _LEFT + (at - began) * scale
        timeline.shapes.append(Shape(x, _AXIS - 4, 0.6, timeline.height - _AXIS + 4, "tick"))
        text = f"{at * 1000:+.0f} ms" if step < 1 else f"{at:+.0f} s"
        if x < _WIDTH - _MARGIN:
            timeline.labels.append(Label(x, _AXIS - 8, "fault" if number == 0 else text, "axis"))
