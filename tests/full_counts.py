"""`make test-long`: run the full counts in parts, and keep each result as a git note of the tested commit.

    python -m tests.full_counts [PART ...]     run these parts (default: all that have not passed at this commit)
    python -m tests.full_counts --status       show the results of this commit

The notes are below refs/notes/test-long: `git log --notes=test-long` shows them, and
`git push origin refs/notes/test-long` publishes them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
NOTES = "test-long"
_NODES = ("scripts/test", "-m", "long")
_KILLED = "operator_that_is_killed"
_CHANGES = ("test_node_changes", "test_rotation", "test_data", "test_external_data")
_TEAM = ("test_changes", "test_day", "test_lecture_001", "test_notifications", "test_readme", "test_secrets")
# Each part takes at most 40 minutes on two idle cores.
PARTS: Mapping[str, Sequence[str]] = {
    "counts": (
        "scripts/test", "-m", "long", "tests",
        "--ignore=tests/end_to_end", "--ignore=tests/failover", "--ignore=tests/lvs",
    ),
    "failover": (*_NODES, "tests/failover"),  # 15 minutes of CPU stress, which no other work may share
    "kill": (*_NODES, "tests/end_to_end/test_kill_points.py", "-k", _KILLED),
    "cut": (*_NODES, "tests/end_to_end/test_kill_points.py", "-k", f"not {_KILLED}"),
    "load": (*_NODES, "tests/end_to_end/test_full_load.py"),
    "changes": (*_NODES, *(f"tests/end_to_end/{name}.py" for name in _CHANGES)),
    "team": (*_NODES, *(f"tests/end_to_end/{name}.py" for name in _TEAM)),
    # All others, so that a new module is not forgotten.
    "nodes": (
        *_NODES, "tests/end_to_end",
        *(f"--ignore=tests/end_to_end/{name}.py" for name in ("test_kill_points", "test_full_load", *_CHANGES, *_TEAM)),
    ),
    "lvs": ("scripts/test-lvs",),
    "fresh": ("scripts/test-fresh",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one part at one commit."""

    part: str
    passed: bool
    summary: str  # pytest's last line, "45 passed in 300.12s"
    seconds: int
    finished: str  # UTC
    cpus: int


def main(arguments: Sequence[str], *, repository: Path = REPOSITORY, parts: Mapping[str, Sequence[str]] = PARTS) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.full_counts", description="Run the full counts in parts.")
    parser.add_argument("part", nargs="*", help=f"{', '.join(parts)}; default: all that have not passed at this commit")
    parser.add_argument("--status", action="store_true", help="show the results of this commit and run nothing")
    options = parser.parse_args(arguments)
    if unknown := [part for part in options.part if part not in parts]:
        parser.error(f"a part must be one of {', '.join(parts)} (got {', '.join(unknown)})")
    results = read_results(repository)
    if options.status:
        print("\n".join(_line(results[part]) if part in results else f"{part}: not run" for part in parts))
        return 0 if all(part in results and results[part].passed for part in parts) else 1
    if changed := _git(repository, "status", "--porcelain"):
        print(
            f"test-long: the results belong to a commit: commit or stash these files first\n{changed}", file=sys.stderr
        )
        return 2
    for part in options.part or [part for part in parts if part not in results or not results[part].passed]:
        result = run_part(part, parts[part], repository)
        results = {**read_results(repository), part: result}  # another run may have added its result meanwhile
        _git(repository, "notes", f"--ref={NOTES}", "add", "-f", "-m", _as_json(results.values()))
        print(_line(results[part]), flush=True)
    return 0 if all(result.passed for result in results.values()) else 1


def run_part(part: str, command: Sequence[str], repository: Path) -> Result:
    """Run one part, print its output, and take the last summary line of pytest from it."""
    began = time.monotonic()
    summary = ""
    with subprocess.Popen(
        command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            sys.stdout.write(line)
            if found := re.search(r"\d+ (?:passed|failed|error).* in [\d.]+s", line):
                summary = found[0]
    return Result(
        part=part,
        passed=process.returncode == 0,
        summary=summary or f"no tests were run (exit code {process.returncode})",
        seconds=round(time.monotonic() - began),
        finished=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        cpus=os.cpu_count() or 0,
    )


def read_results(repository: Path) -> dict[str, Result]:
    """Return the results of the present commit, by part. Empty if there are none."""
    shown = subprocess.run(
        ["git", "notes", f"--ref={NOTES}", "show"], cwd=repository, capture_output=True, text=True, check=False
    )
    results = json.loads(shown.stdout) if shown.returncode == 0 else []
    return {each["part"]: Result(**each) for each in results}


def _as_json(results: Iterable[Result]) -> str:
    return json.dumps([asdict(result) for result in results], indent=1)


def _line(result: Result) -> str:
    state = "passed" if result.passed else "FAILED"
    return f"{result.part}: {state}, {result.summary}; {result.seconds} s, {result.finished} UTC, {result.cpus} CPUs"


def _git(repository: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
