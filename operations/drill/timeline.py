"""One case of a drill as data: figures, and requests, masters and log lines on one axis. Pure.

Times are in seconds since the first injection.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from operations.drill.drill import CaseRun, Injection
from operations.drill.requests import Record
from operations.drill.result import SLOW_S, Result, is_correct
from operations.drill.streams import POSTS

BIN_S = 0.02
GRACE_S = 0.2  # after a fault of a backup; requests that begin later must not notice it
TOTALS = ("all", "GET")  # groups of streams in the figures
_STATE = re.compile(r"\(VI_1\) Entering (MASTER|BACKUP|FAULT) STATE")
_STOPPED = re.compile(r"^Stopped\b|Deactivated successfully|Main process exited|^keepalived\.service: Consumed")
_TELLING = re.compile(
    r"Entering \w+ STATE|priority|^Stop|^Start|^Reload|exited|Failed|failed|killed|signal|Scheduled restart|watchdog|"
    r"transition|emerg|second master|healthy",
    re.IGNORECASE,
)
Segment = list[int]  # the first bin, the number of bins, and the requests of them: correct, slow, lost


def to_data(run: CaseRun) -> dict[str, Any]:
    """The case as JSON data."""
    case = run.case
    data: dict[str, Any] = {
        "fault": case.fault.name, "on": case.target, "title": case.title, "skipped": run.skipped, "error": run.error,
    }  # fmt: skip
    if not run.injections or not run.result.records:
        return data
    zero = run.injections[0].at
    states = {node: _states(run, node, lines, zero) for node, lines in run.journals.items()}
    return {
        **data,
        "at": zero,
        "masters": run.masters,
        "began": round(run.began - zero, 3),
        "ended": round(run.ended - zero, 3),
        "injections": [_injection(each, zero) for each in run.injections],
        "figures": figures(run),
        "requests": {name: _segments(run.result, name, zero) for name in run.result.streams()},
        "vrrp": states,
        "failovers": _failovers(states),
        "settled_ms": _settled_ms(run, states, zero),
        "havip": [[round(at - zero, 3), name] for at, name in run.havip],
        "log": _log(run, zero),
    }


def figures(run: CaseRun) -> dict[str, dict[str, Any]]:
    """By stream and for all: what the requests met from just before the first injection, and after each undo."""
    zero = run.injections[0].at
    seen = run.result.between(zero - 1.0, run.ended)
    later = [injection.at for injection in run.injections[1:]]
    windows = [
        seen.between(_end_of(injection, run.ended), end)
        for injection, end in zip(run.injections, [*later, run.ended], strict=True)
    ]
    recovery = Result([record for window in windows for record in window.records])
    names = run.result.streams()
    gets = [name for name in names if name not in POSTS]
    groups = {**{name: [name] for name in names}, "all": names, "GET": gets}
    undone = _end_of(run.injections[-1], run.ended)
    return {
        group: {
            **_counts(seen, streams),
            "late": _late(seen, streams, zero, undone),
            "recovery": {
                **_counts(recovery, streams),
                # The time between two windows does not count: the next fault lasts in it.
                "blackout_ms": _longest([_counts(window, streams)["blackout_ms"] for window in windows]),
                "restored_ms": _restored_ms(recovery, streams, undone),
            },
        }
        for group, streams in groups.items()
    }


def _longest(blackouts_ms: Sequence[float | None]) -> float | None:
    """None if one of them is None: a window without a correct response."""
    return None if None in blackouts_ms else max(each or 0.0 for each in blackouts_ms)


def _end_of(injection: Injection, ended: float) -> float:
    return injection.undone if injection.undone is not None else injection.ready or ended


def _counts(result: Result, streams: Sequence[str]) -> dict[str, Any]:
    records = [record for record in result.records if record.stream in streams]
    blackout_s = Result(records).blackout_s() if records else 0.0
    return {
        "sent": len(records),
        "lost": sum(not is_correct(record) for record in records),
        "slow": sum(_is_slow(record) for record in records),
        "blackout_ms": None if blackout_s == float("inf") else round(blackout_s * 1000, 1),
        "statuses": dict(Counter(str(record.status) for record in records)),
        # The longest time until an error such as 503: a client that is told at once can do something else.
        "error_ms": _ms(
            max((record.took for record in records if record.status and not is_correct(record)), default=0)
        ),
    }


def _late(result: Result, streams: Sequence[str], zero: float, undone: float) -> int:
    """The requests that were lost or slow although they began more than 200 ms after the fault, before its undo."""
    return sum(
        _is_slow(record) or not is_correct(record)
        for record in result.between(zero + GRACE_S, undone).records
        if record.stream in streams
    )


def _restored_ms(recovery: Result, streams: Sequence[str], undone: float) -> float:
    """The time from the last undo until the last request began that got no correct response."""
    failed = [each.began for each in recovery.records if each.stream in streams and not is_correct(each)]
    return _ms(max(failed, default=undone) - undone)


def _settled_ms(run: CaseRun, states: Mapping[str, Sequence[Sequence[Any]]], zero: float) -> float | None:
    """The time from the last undo until one node was master for the rest of the case; None if it never was."""
    undone = _end_of(run.injections[-1], run.ended) - zero
    changes = sorted((float(at), node, str(state)) for node, own in states.items() for at, state in own)
    last: dict[str, str] = {}
    since: float | None = None
    for at, node, state in changes:
        last[node] = state
        single = list(last.values()).count("MASTER") == 1
        since = (at if since is None else since) if single else None
    return None if since is None else _ms(max(0.0, since - undone))


def _ms(seconds: float) -> float:
    return round(max(0.0, seconds) * 1000, 1)


def _is_slow(record: Record) -> bool:
    return is_correct(record) and record.took > SLOW_S


def _segments(result: Result, stream: str, zero: float) -> list[Segment]:
    """The requests by the time at which they began. Consecutive bins without a slow or lost request are one segment."""
    bins: dict[int, list[int]] = {}
    for record in result.records:
        if record.stream == stream:
            counts = bins.setdefault(int((record.began - zero) // BIN_S), [0, 0, 0])
            counts[(1 if _is_slow(record) else 0) if is_correct(record) else 2] += 1
    segments: list[Segment] = []
    for number, (correct, slow, lost) in sorted(bins.items()):
        last = segments[-1] if segments else None
        if last is not None and not slow + lost + last[3] + last[4] and number - last[0] - last[1] <= 1:
            last[1] = number - last[0] + 1
            last[2] += correct
        else:
            segments.append([number, 1, correct, slow, lost])
    return segments


def _states(run: CaseRun, node: str, lines: Iterable[Sequence[Any]], zero: float) -> list[list[Any]]:
    """The VRRP states of a node for the first virtual IP, each with its beginning."""
    first = next(iter(run.masters.values()), "")
    states: list[list[Any]] = [[round(run.began - zero, 3), "MASTER" if node == first else "BACKUP"]]
    for at, unit, text in lines:
        if unit.startswith("keepalived"):
            found = _STATE.search(text)
            state = found[1] if found else "stopped" if _STOPPED.search(text) else states[-1][1]
            if state != states[-1][1]:
                states.append([round(at - zero, 3), state])
    return states


def _failovers(states: Mapping[str, Sequence[Sequence[Any]]]) -> list[list[Any]]:
    """The times at which a node became master, with its name."""
    return sorted([at, node] for node, changes in states.items() for at, state in changes[1:] if state == "MASTER")


def _log(run: CaseRun, zero: float) -> list[list[Any]]:
    found = [
        [round(at - zero, 3), node, unit, text]
        for node, lines in run.journals.items()
        for at, unit, text in lines
        if _TELLING.search(text)
    ]
    return sorted(found)


def _injection(injection: Injection, zero: float) -> dict[str, Any]:
    def relative(at: float | None) -> float | None:
        return None if at is None else round(at - zero, 3)

    return {
        "nodes": injection.nodes, "at": relative(injection.at), "undone": relative(injection.undone),
        "ready": relative(injection.ready),
    }  # fmt: skip
