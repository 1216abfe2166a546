"""Results of the failover benchmark: kept by commit, resumed, and judged by the goals. No node runs."""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from operations.drill.faults import FAULTS
from operations.drill.streams import AUTHORIZATION, LOGIN, NEW
from tests.benchmarks.failover import Results, false_failovers, main, read_run
from tests.benchmarks.failover_parts import GOALS, PARTS, PLANNED, Run, unmet
from tests.benchmarks.failover_table import make_table

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
    console = Console(file=io.StringIO(), width=260)
    console.print(make_table(results.commit, results.runs))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(results: Results, fault: str, profile: str) -> str:
    (line,) = [line for line in shown(results).splitlines() if f" {fault} " in line and f" {profile} " in line]
    return line


def test_every_goal_is_measured_in_fast_and_seed() -> None:
    for profile in ("fast", "seed"):
        assert GOALS.keys() <= {case for part in PARTS.values() if part.profile == profile for case in part.cases}


def test_every_fault_of_a_drill_is_measured_on_each_of_its_nodes_with_the_profile_fast() -> None:
    measured = {case for part in PARTS.values() if part.profile == "fast" for case in part.cases}
    possible = {(fault.name, on) for fault in FAULTS for on in fault.on} - {("nginx-reload", "backup")}
    assert possible | {(each, "master") for each in PLANNED} == measured


@pytest.mark.parametrize(
    ("run", "shown"),
    [
        pytest.param(Run("fast-planned", "rollout", "master", 9, 1, 0, 1, 0, 0, 2), "", id="one lost in a rollout"),
        pytest.param(Run("fast-planned", "rollout", "master", 9, 1, 0, 1, 1, 0, 2), "lost", id="two lost in a rollout"),
        pytest.param(Run("fast-stores", "redis-stop", "data", 9, 0, 0, 9, 9, 0, 0, error_ms=400, restored_ms=300), "",
                     id="logins fail at once while the store is away"),
        pytest.param(Run("fast-stores", "redis-stop", "data", 9, 0, 0, 9, 9, 0, 0, lost_decisions=1, unauthorized=2),
                     "decisions lost, 401", id="a store that is away is felt by decisions, and as 401"),
        pytest.param(Run("fast-stores", "mariadb-stop", "data", 9, 0, 0, 9, 9, 0, 0, error_ms=1500, restored_ms=1200),
                     "late errors, late return", id="late errors"),
        pytest.param(Run("fast-node", "isolated", "master", 9, 0, 0, 0, 0, 0, 2, settled_ms=60), "", id="split"),
        pytest.param(Run("fast-node", "isolated", "master", 9, 0, 0, 0, 0, 3, 3, settled_ms=None),
                     "moves, lost after, two masters", id="a split that does not end"),
        pytest.param(Run("fast-quiet", "cpu-stress", "master", 9, 0, 0, 0, 0, 0, 1), "moved", id="false failover"),
        pytest.param(Run("fast-both", "nginx-stop-both", "both", None, 9, 0, 9, 9, 0, 0), "", id="it stays"),
        pytest.param(Run("fast-backup", "power-off", "backup", 9, 0, 7, 0, 2, 0, 0, late=1), "late", id="slow later"),
        pytest.param(RUN, None, id="a blackout is judged over all runs"),
    ],
)  # fmt: skip
def test_a_run_is_judged_by_what_its_fault_must_not_show(run: Run, shown: str | None) -> None:
    assert unmet(run) == shown


def test_a_row_shows_the_worst_of_its_runs(repository: Path) -> None:
    results = Results(repository)
    fine = Run("fast-quiet", "none", "master", 9, 0, 0, 0, 0, 0, 0)
    results.add([fine, replace(fine, failovers=1)])
    assert "MISSED: moved" in row(results, "none", "fast")


def test_a_false_failover_fails_the_benchmark() -> None:
    quiet = Run("fast-quiet-sample", "cpu-stress", "master", 9, 0, 0, 0, 0, 0, 1)
    assert false_failovers("fast-quiet-sample", [RUN, quiet]) == [
        "fast-quiet-sample: cpu-stress: the virtual IP moved"
    ]  # fmt: skip
    assert false_failovers("fast-quiet-sample", [replace(quiet, failovers=0)]) == []
    assert false_failovers("fast-programs", [RUN]) == []


def test_an_interrupted_part_is_resumed_where_it_stopped(repository: Path) -> None:
    Results(repository).add([RUN] * 4)
    missing = Results(repository).missing("fast-programs")
    assert ("nginx-kill", "master", 6) in missing
    assert ("nginx-stop", "master", 10) in missing
    assert ("nginx-stop", "master", 3) in Results(repository).missing("fast-programs", 3)


def test_results_are_a_note_of_their_commit(repository: Path) -> None:
    results = Results(repository)
    results.add([RUN])
    results.keep()
    (repository / ".tandem/bench-failover" / f"{results.commit}.json").unlink()
    assert Results(repository).runs == [RUN]
    subprocess.run(["git", "commit", "--quiet", "--allow-empty", "-m", "two"], cwd=repository, check=True)
    assert Results(repository).runs == []


def test_results_belong_to_the_commit_with_which_the_runs_began(repository: Path) -> None:
    results = Results(repository)
    results.add([RUN])
    subprocess.run(["git", "commit", "--quiet", "--allow-empty", "-m", "two"], cwd=repository, check=True)
    results.keep()
    assert Results(repository).runs == []
    (repository / ".tandem/bench-failover" / f"{results.commit}.json").unlink()
    subprocess.run(["git", "checkout", "--quiet", results.commit], cwd=repository, check=True)
    assert Results(repository).runs == [RUN]


def test_a_group_that_did_not_recover_counts_as_failed_and_not_as_a_run(repository: Path) -> None:
    """Without it the table would show the best of several attempts only."""
    failed = read_run("fast-programs", {"fault": "nginx-kill", "on": "master", "error": "the group is not ready"})
    assert failed is not None
    results = Results(repository)
    results.add([failed])
    assert " 1 failed " in row(results, "nginx-kill", "fast")
    results.add([RUN, RUN])
    assert ("nginx-kill", "master", 8) in Results(repository).missing("fast-programs")
    assert " 2 + 1 failed " in row(results, "nginx-kill", "fast")
    assert " 30 ms " in row(results, "nginx-kill", "fast")


@pytest.mark.parametrize(("moves", "code"), [(0, 0), (1, 1)])
def test_a_false_failover_of_an_earlier_call_still_fails_the_benchmark(repository: Path, moves: int, code: int) -> None:
    (repository / ".git/info/exclude").write_text(".tandem\n")
    quiet = Run("fast-quiet-sample", "none", "master", 9, 0, 0, 0, 0, 0, moves)
    Results(repository).add([quiet, replace(quiet, fault="cpu-stress", failovers=0)])
    assert main(["fast-quiet-sample"], repository=repository) == code


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
        return {"sent": 100, "lost": lost, "slow": 1, "blackout_ms": 30.0, "late": 4, "statuses": {"200": 90, "401": 6},
                "error_ms": 700.0, "recovery": {"lost": 2, "restored_ms": 800.0}}  # fmt: skip

    case = {
        "fault": "nginx-kill", "on": "master", "error": "", "failovers": [[0.03, "iam-b"]], "settled_ms": 5.0,
        "figures": {
            NEW: figures(5), AUTHORIZATION: figures(3), LOGIN: figures(0), "GET": figures(6), "all": figures(9),
        },
    }  # fmt: skip
    assert read_run("fast-programs", case) == Run(
        "fast-programs", "nginx-kill", "master", 30.0, 5, 1, 6, 3, 2, 1, late=4, lost_decisions=3, unauthorized=6,
        error_ms=700.0, restored_ms=800.0, settled_ms=5.0,
    )  # fmt: skip
    assert read_run("fast-programs", {"fault": "daemon-kill", "on": "master", "error": ""}) is None
