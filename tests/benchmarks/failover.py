"""`make bench-failover`: what clients meet when a node, nginx or keepalived fails, beside the lectures' timing.

    python -m tests.benchmarks.failover [PART ...]    run these parts (default: all); runs that exist are not repeated
    python -m tests.benchmarks.failover --table       print the table of the results of this commit

Each part starts its own localcloud with external databases, deploys one profile and runs `tandem drill`. A result
belongs to a commit: it is kept in .tandem/bench-failover/COMMIT.json while the parts run, and as a git note
(`git log --notes=bench-failover`). Requires root and the packages of `localcloud doctor`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from operations.drill.streams import NEW, POSTS
from tests.end_to_end.external_site import make_site
from tests.end_to_end.lab import ROOT, CommandError, Lab, new_cloud

NOTES = "bench-failover"
RUNS = 10
_DRILL_S = 40 * 60


@dataclass(frozen=True, slots=True)
class Part:
    """At most 40 minutes on two idle cores."""

    profile: str
    cases: tuple[tuple[str, str], ...]  # fault and node
    delay_s: float = 0  # until a HAVIP's traffic follows its announcement
    runs: int = RUNS
    watch_s: float | None = None


_PROGRAMS = tuple(
    (fault, "master")
    for fault in ("switchover", "nginx-reload", "nginx-stop", "nginx-kill", "nginx-hang", "keepalived-stop",
                  "keepalived-kill")
)  # fmt: skip
_NODE = (("power-off", "master"), ("link-down", "master"), ("isolated", "master"))
_BACKUP = tuple(
    (fault, "backup")
    for fault in (
        "nginx-stop",
        "nginx-kill",
        "nginx-hang",
        "keepalived-stop",
        "keepalived-kill",
        "power-off",
        "link-down",
    )
)
_BOTH = (("nginx-stop-both", "both"), ("daemon-kill-both", "both"))
_QUIET = (("none", "master"), ("cpu-stress", "master"))
_DELAYED = (("switchover", "master"), ("nginx-kill", "master"), ("keepalived-stop", "master"), ("power-off", "master"))

PARTS: Mapping[str, Part] = {
    **{f"{profile}-programs": Part(profile, _PROGRAMS) for profile in ("fast", "balanced", "seed")},
    **{f"{profile}-node": Part(profile, _NODE) for profile in ("fast", "balanced", "seed")},
    **{f"{profile}-backup": Part(profile, _BACKUP) for profile in ("fast", "balanced", "seed")},
    "fast-both": Part("fast", _BOTH),
    "fast-quiet": Part("fast", _QUIET, runs=1, watch_s=900),
    **{f"{profile}-delay-{delay}": Part(profile, _DELAYED, delay_s=delay, runs=3)
       for profile in ("fast", "balanced") for delay in (4, 10)},
}  # fmt: skip

# (median, worst) in ms, and how much shorter than with the profile seed.
GOALS: Mapping[tuple[str, str], tuple[float, float, float]] = {
    ("nginx-stop", "master"): (35, 80, 20),
    ("nginx-kill", "master"): (35, 80, 20),
    ("nginx-hang", "master"): (350, 500, 0),
    ("keepalived-stop", "master"): (15, 60, 20),
    ("keepalived-kill", "master"): (15, 60, 0),
    ("power-off", "master"): (160, 300, 12),
    ("link-down", "master"): (160, 300, 12),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One fault, as GET requests on new connections met it (200 a second), and all others."""

    part: str
    fault: str
    on: str
    blackout_ms: float | None  # None: no response until the fault was undone
    lost: int
    slow: int
    lost_gets: int  # of all streams
    lost_posts: int
    lost_after: int  # after the fault was undone
    failovers: int
    error: str = ""


def read_run(part: str, case: Mapping[str, Any]) -> Run | None:
    """The figures of one case of a drill; None if it was skipped."""
    if "figures" not in case:
        return None
    new, total = case["figures"][NEW], case["figures"]
    return Run(
        part=part, fault=case["fault"], on=case["on"], blackout_ms=new["blackout_ms"], lost=new["lost"],
        slow=new["slow"], lost_gets=total["GET"]["lost"],
        lost_posts=sum(total[name]["lost"] for name in POSTS if name in total),
        lost_after=total["all"]["recovery"]["lost"], failovers=len(case["failovers"]), error=case["error"],
    )  # fmt: skip


class Results:
    """The runs of the present commit."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self.commit = _git(repository, "rev-parse", "HEAD").strip()
        self._file = repository / ".tandem" / NOTES / f"{self.commit}.json"
        noted = subprocess.run(
            ["git", "notes", f"--ref={NOTES}", "show"], cwd=repository, capture_output=True, text=True, check=False
        )
        text = self._file.read_text() if self._file.exists() else noted.stdout if noted.returncode == 0 else "[]"
        self.runs = [Run(**run) for run in json.loads(text)]

    def missing(self, part: str) -> list[tuple[str, str, int]]:
        """Fault, node and the number of runs that a part still needs."""
        wanted = PARTS[part]
        found = [
            (fault, on, wanted.runs - sum((run.part, run.fault, run.on) == (part, fault, on) for run in self.runs))
            for fault, on in wanted.cases
        ]
        return [each for each in found if each[2] > 0]

    def add(self, runs: Sequence[Run]) -> None:
        self.runs += runs
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(self._as_json())

    def keep(self) -> None:
        """Keep the runs as a note of the commit."""
        _git(self._repository, "notes", f"--ref={NOTES}", "add", "-f", "-F", "-", text=self._as_json())

    def _as_json(self) -> str:
        fields = Run.__dataclass_fields__
        return json.dumps([{name: getattr(run, name) for name in fields} for run in self.runs], indent=1)


def run_part(name: str, results: Results) -> None:
    """Run what is missing of a part. Each fault is kept as soon as it has run."""
    part = PARTS[name]
    with tempfile.TemporaryDirectory() as directory, deployed(part, Path(directory)) as lab:
        for fault, on, runs in results.missing(name):
            print(f"{name}: {fault} on {on}, {runs} runs", flush=True)
            file = Path(directory) / "drill.json"
            watch = ["--watch", str(part.watch_s)] if part.watch_s else []
            files = ["--json", str(file), "--html", str(file.with_suffix(".html"))]
            command = ["tandem", "drill", fault, "--on", on, "--runs", str(runs), *watch, *files, "--stack", "local"]
            file.unlink(missing_ok=True)
            done = lab.operator(*command, check=False, timeout_s=_DRILL_S)
            cases = json.loads(file.read_text())["cases"] if file.exists() else []
            results.add([run for case in cases if (run := read_run(name, case)) is not None])
            if done.returncode != 0:
                raise CommandError(command, done)
    results.keep()


@contextmanager
def deployed(part: Part, directory: Path) -> Generator[Lab]:
    with new_cloud("benchf") as lab:
        site = make_site(lab, directory)
        settings = site.settings(directory / "settings.yaml", keepalived={"profile": part.profile})
        lab.up("--config-file", str(settings))
        lab.localcloud("takeover-delay", str(part.delay_s))
        yield lab


def make_table(results: Results) -> Table:
    """Median and worst blackout of each fault in each profile, with the goals."""
    title = (
        f"Blackout of GET healthz on new connections, 200 a second, external databases, commit {results.commit[:10]}"
    )
    table = Table(title=title, title_justify="left")
    columns = (
        "fault", "on", "profile", "HAVIP delay", "runs", "median", "worst", "lost", "slow", "after undo", "moves",
        "of seed", "goal",
    )  # fmt: skip
    for column in columns:
        table.add_column(column)
    seed = {key: _blackouts(runs) for key, runs in _by_case(results, "seed", 0).items()}
    for name, part in PARTS.items():
        for fault, on in part.cases:
            runs = [run for run in results.runs if (run.part, run.fault, run.on) == (name, fault, on)]
            if runs:
                table.add_row(
                    fault, on, part.profile, f"{part.delay_s:g} s", *_cells(runs, part, seed.get((fault, on)))
                )
    return table


def _cells(runs: Sequence[Run], part: Part, seed: Sequence[float] | None) -> list[str]:
    blackouts = _blackouts(runs)
    median, worst = statistics.median(blackouts), max(blackouts)
    ratio = statistics.median(seed) / median if seed and part.profile != "seed" and not part.delay_s else 0.0
    return [
        str(len(runs)), _ms(median), _ms(worst), f"{sum(run.lost for run in runs)}", f"{sum(run.slow for run in runs)}",
        f"{sum(run.lost_after for run in runs)}", "/".join(sorted({str(run.failovers) for run in runs})),
        f"{ratio:.1f}x shorter" if ratio else "",
        _judge(runs[0], median, worst, ratio) if part.profile == "fast" and not part.delay_s else "",
    ]  # fmt: skip


def _judge(run: Run, median: float, worst: float, ratio: float) -> str:
    goal = GOALS.get((run.fault, run.on))
    if goal is None:
        return ""
    fine = median <= goal[0] and worst <= goal[1] and (not ratio or ratio >= goal[2])
    least = f", {goal[2]:g}x" if goal[2] else ""
    return f"{goal[0]:g} / {goal[1]:g} ms{least}: {'met' if fine else 'MISSED'}"


def _by_case(results: Results, profile: str, delay_s: float) -> dict[tuple[str, str], list[Run]]:
    found: dict[tuple[str, str], list[Run]] = {}
    for run in results.runs:
        part = PARTS[run.part]
        if part.profile == profile and part.delay_s == delay_s:
            found.setdefault((run.fault, run.on), []).append(run)
    return found


def _blackouts(runs: Sequence[Run]) -> list[float]:
    return [float("inf") if run.blackout_ms is None else run.blackout_ms for run in runs]


def _ms(value: float) -> str:
    return "none answered" if value == float("inf") else f"{value:.0f} ms"


def main(arguments: Sequence[str], *, repository: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.failover", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; default: all that are not complete")
    parser.add_argument("--table", action="store_true", help="print the results of this commit and run nothing")
    options = parser.parse_args(arguments)
    if unknown := [part for part in options.part if part not in PARTS]:
        parser.error(f"a part must be one of {', '.join(PARTS)} (got {', '.join(unknown)})")
    results = Results(repository)
    if not options.table:
        if changed := _git(repository, "status", "--porcelain"):
            print(f"bench-failover: results belong to a commit: commit or stash first\n{changed}", file=sys.stderr)
            return 2
        for part in options.part or PARTS:
            if results.missing(part):
                began = time.monotonic()
                run_part(part, results)
                print(f"{part}: {time.monotonic() - began:.0f} s", flush=True)
    Console(width=None if sys.stdout.isatty() else 180).print(make_table(results))
    return 0


def _git(repository: Path, *arguments: str, text: str | None = None) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=repository, capture_output=True, text=True, check=True, input=text
    ).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
