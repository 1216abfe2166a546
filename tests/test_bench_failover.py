"""Results of the failover benchmark: kept by commit, resumed, and judged by the goals. No node runs."""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from operations.drill.streams import AUTHORIZATION, NEW
from tests.benchmarks.failover import GOALS, PARTS, Results, Run, make_table, read_run

RUN = Run("fast-programs", "nginx-kill", "master", 30.0, 5, 0, 9, 1, 0, 1)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for command in (
        ("init", "--quiet"), ("config", "user.name", "ann"), ("config", "user.email", "ann@example.com"),
        ("commit", "--quiet", "--allow-empty", "-m", "one"),
    ):  # fmt: skip
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def shown(results: Results) -> str:
    console = Console(file=io.StringIO(), width=220)
    console.print(make_table(results))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(results: Results, fault: str, profile: str) -> str:
    (line,) = [line for line in shown(results).splitlines() if f" {fault} " in line and f" {profile} " in line]
    return line


def test_every_goal_is_measured_in_fast_and_seed() -> None:
    for profile in ("fast", "seed"):
        assert GOALS.keys() <= {case for part in PARTS.values() if part.profile == profile for case in part.cases}


def test_an_interrupted_part_is_resumed_where_it_stopped(repository: Path) -> None:
    Results(repository).add([RUN] * 4)
    missing = Results(repository).missing("fast-programs")
    assert ("nginx-kill", "master", 6) in missing
    assert ("nginx-stop", "master", 10) in missing


def test_results_are_a_note_of_their_commit(repository: Path) -> None:
    results = Results(repository)
    results.add([RUN])
    results.keep()
    (repository / ".tandem/bench-failover" / f"{results.commit}.json").unlink()
    assert Results(repository).runs == [RUN]
    subprocess.run(["git", "commit", "--quiet", "--allow-empty", "-m", "two"], cwd=repository, check=True)
    assert Results(repository).runs == []


@pytest.mark.parametrize(
    ("blackouts", "seed_ms", "judged"),
    [
        pytest.param([30, 31, 70], 4000, "met", id="within the goal"),
        pytest.param([30, 31, 90], 4000, "MISSED", id="the worst run"),
        pytest.param([36, 36, 36], 4000, "MISSED", id="the median"),
        pytest.param([30, 30, 30], 500, "MISSED", id="not 20 times shorter than seed"),
    ],
)
def test_a_row_is_judged_by_median_worst_and_ratio(
    repository: Path, blackouts: list[float], seed_ms: float, judged: str
) -> None:
    results = Results(repository)
    results.add([replace(RUN, blackout_ms=blackout) for blackout in blackouts])
    results.add([replace(RUN, part="seed-programs", blackout_ms=seed_ms)])
    line = row(results, "nginx-kill", "fast")
    assert f"35 / 80 ms, 20x: {judged}" in line
    assert f"{max(blackouts):.0f} ms" in line


def test_a_fault_that_no_request_survived_is_the_worst(repository: Path) -> None:
    results = Results(repository)
    results.add([replace(RUN, fault="nginx-hang", blackout_ms=None), replace(RUN, fault="nginx-hang")])
    assert "none answered" in row(results, "nginx-hang", "fast")


def test_the_figures_of_a_drill_become_a_run() -> None:
    def figures(lost: int) -> dict[str, object]:
        return {"sent": 100, "lost": lost, "slow": 1, "blackout_ms": 30.0, "recovery": {"lost": 2}}

    case = {
        "fault": "nginx-kill", "on": "master", "error": "", "failovers": [[0.03, "iam-b"]],
        "figures": {NEW: figures(5), AUTHORIZATION: figures(3), "GET": figures(6), "all": figures(9)},
    }  # fmt: skip
    assert read_run("fast-programs", case) == Run("fast-programs", "nginx-kill", "master", 30.0, 5, 1, 6, 3, 2, 1)
    assert read_run("fast-programs", {"fault": "daemon-kill", "on": "master", "skipped": "does not run"}) is None
