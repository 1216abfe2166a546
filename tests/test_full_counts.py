"""`make test-long` runs its parts once for each commit and keeps the results with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.full_counts import main, read_results

PASSES = ("sh", "-c", "echo '=== 3 passed in 0.10s ==='; echo run >> ../runs")
FAILS = ("sh", "-c", "echo '=== 1 failed, 2 passed in 0.20s ==='; exit 1")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    for command in (["init", "-q"], ["config", "user.email", "a@example.com"], ["config", "user.name", "A"]):
        subprocess.run(["git", *command], cwd=path, check=True)
    _commit(path)
    return path


def _commit(path: Path) -> None:
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "change"], cwd=path, check=True)


def _runs(repository: Path) -> int:
    return len((repository.parent / "runs").read_text().splitlines())


def test_a_part_that_passed_is_not_repeated_at_the_same_commit(repository: Path) -> None:
    parts = {"counts": PASSES}
    assert main([], repository=repository, parts=parts) == 0
    assert main([], repository=repository, parts=parts) == 0
    assert _runs(repository) == 1
    result = read_results(repository)["counts"]
    assert (result.passed, result.summary) == (True, "3 passed in 0.10s")
    _commit(repository)
    assert read_results(repository) == {}
    assert main([], repository=repository, parts=parts) == 0
    assert _runs(repository) == 2


def test_a_failed_part_is_repeated_and_keeps_the_results_of_the_others(repository: Path) -> None:
    assert main([], repository=repository, parts={"counts": PASSES, "fresh": FAILS}) == 1
    assert read_results(repository)["fresh"].summary == "1 failed, 2 passed in 0.20s"
    assert main(["--status"], repository=repository, parts={"counts": PASSES, "fresh": FAILS}) == 1
    assert main([], repository=repository, parts={"counts": PASSES, "fresh": PASSES}) == 0
    assert main(["--status"], repository=repository, parts={"counts": PASSES, "fresh": PASSES}) == 0
    assert _runs(repository) == 2


def test_a_changed_checkout_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "new").write_text("")
    assert main([], repository=repository, parts={"counts": PASSES}) == 2
    assert "commit or stash these files first\n?? new" in capsys.readouterr().err


def test_a_run_without_tests_has_not_a_summary_of_tests(repository: Path) -> None:
    assert main([], repository=repository, parts={"counts": ("sh", "-c", "exit 1")}) == 1
    assert read_results(repository)["counts"].summary == "no tests were run (exit code 1)"


def test_the_results_of_a_run_beside_it_are_kept(repository: Path) -> None:
    assert main([], repository=repository, parts={"counts": PASSES}) == 0
    _commit(repository)
    beside = "git notes --ref=test-long copy HEAD~1 HEAD; echo '=== 1 passed in 0.10s ==='"
    assert main([], repository=repository, parts={"fresh": ("sh", "-c", beside)}) == 0
    assert set(read_results(repository)) == {"counts", "fresh"}
