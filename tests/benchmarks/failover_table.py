"""The table of `make bench-failover`: median and worst blackout of each fault in each profile, with the goals."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich.table import Table

from tests.benchmarks.failover_parts import GOALS, PARTS, Part, Run, unmet

_COLUMNS = (
    "fault", "on", "profile", "HAVIP delay", "runs", "median", "worst", "lost", "slow", "lost GET", "lost POST",
    "late", "after undo", "moves", "of seed", "goal",
)  # fmt: skip


def make_table(commit: str, runs: Sequence[Run]) -> Table:
    title = f"Blackout of GET healthz on new connections, 200 a second, commit {commit[:10]}"
    table = Table(title=title, title_justify="left")
    for column in _COLUMNS:
        table.add_column(column)
    table.caption = (
        "late: GETs that began 200 ms after the fault or later, and were lost or slow; "
        "failed: the drill ended with an error, such as a group that did not recover within 180 s"
    )
    seed = {key: _blackouts(of_case) for key, of_case in _by_case(runs, "seed", 0).items()}
    for name, part in PARTS.items():
        for fault, on in part.cases:
            found = [run for run in runs if run.key == (name, fault, on)]
            if found:
                label = f"{fault} x{part.repeat}" if part.repeat > 1 else fault
                where = f"{on}, {part.data} data" if part.data != "external" else on
                cells = _cells(found, part, None if part.repeat > 1 else seed.get((fault, on)))
                table.add_row(label, where, part.profile, f"{part.delay_s:g} s", *cells)
    return table


def _cells(found: Sequence[Run], part: Part, seed: Sequence[float] | None) -> list[str]:
    runs = [run for run in found if not run.error]
    failed = f"{len(found) - len(runs)} failed" if len(found) > len(runs) else ""
    if not runs:
        return [failed]
    blackouts = _blackouts(runs)
    median, worst = statistics.median(blackouts), max(blackouts)
    ratio = statistics.median(seed) / median if seed and part.profile != "seed" and not part.delay_s else 0.0
    totals = (
        sum(getattr(run, name) for run in runs)
        for name in ("lost", "slow", "lost_gets", "lost_posts", "late", "lost_after")
    )
    return [
        " + ".join(each for each in (str(len(runs)), failed) if each), _ms(median), _ms(worst), *map(str, totals),
        "/".join(sorted({str(run.failovers) for run in runs})), f"{ratio:.1f}x shorter" if ratio else "",
        _judge(runs, median, worst, ratio) if part.profile == "fast" and not part.delay_s else "",
    ]  # fmt: skip


def _judge(runs: Sequence[Run], median: float, worst: float, ratio: float) -> str:
    judged = [_judge_blackout(runs[0], median, worst, ratio)] if PARTS[runs[0].part].repeat == 1 else []
    others = [unmet(run) for run in runs]
    if others[0] is not None:
        missed = sorted({each for each in others if each})
        judged.append(f"MISSED: {'; '.join(missed)}" if missed else "met")
    return "; ".join(each for each in judged if each)


def _judge_blackout(run: Run, median: float, worst: float, ratio: float) -> str:
    goal = GOALS.get((run.fault, run.on))
    if goal is None:
        return ""
    fine = median <= goal[0] and worst <= goal[1] and (not ratio or ratio >= goal[2])
    least = f", {goal[2]:g}x" if goal[2] else ""
    return f"{goal[0]:g} / {goal[1]:g} ms{least}: {'met' if fine else 'MISSED'}"


def _by_case(runs: Sequence[Run], profile: str, delay_s: float) -> dict[tuple[str, str], list[Run]]:
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        part = PARTS[run.part]
        if part.profile == profile and part.delay_s == delay_s and not run.error:
            found.setdefault((run.fault, run.on), []).append(run)
    return found


def _blackouts(runs: Sequence[Run]) -> list[float]:
    return [float("inf") if run.blackout_ms is None else run.blackout_ms for run in runs]


def _ms(value: float) -> str:
    return "none answered" if value == float("inf") else f"{value:.0f} ms"
