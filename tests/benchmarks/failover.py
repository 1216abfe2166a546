"""`make bench-failover`: what clients meet when a node, nginx or keepalived fails, beside the lectures' timing.

    python -m tests.benchmarks.failover [PART ...]    run these parts (default: all); runs that exist are not repeated
    python -m tests.benchmarks.failover --runs 3 PART    with fewer runs of each fault
    python -m tests.benchmarks.failover --table       print the table of the results of this commit

Each part (failover_parts.py) starts its own localcloud, deploys one profile and runs `tandem drill`. A result belongs
to a commit: it is kept in .tandem/bench-failover/COMMIT.json while the parts run, and as a git note
(`git log --notes=bench-failover`). A fault whose drill ends with an error is tried again, and the table counts it as
failed; the next ones run in any case. Requires root and the packages of `localcloud doctor`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from operations.drill.streams import AUTHORIZATION, LOGIN, NEW, POSTS, SECRETS
from operations.files import write_file
from tests.benchmarks.failover_parts import PARTS, PLANNED, Part, Run, unmet
from tests.benchmarks.failover_table import make_table
from tests.end_to_end.external_site import make_site
from tests.end_to_end.group import drain_windows, under_load
from tests.end_to_end.lab import ROOT, Lab, new_cloud, wait_until
from tests.end_to_end.settings import write_settings

NOTES = "bench-failover"
_DRILL_S = 40 * 60
_ATTEMPTS = 3


def read_run(part: str, case: Mapping[str, Any]) -> Run | None:
    """The figures of one case of a drill; None if it was skipped. A case that ended with an error may have none."""
    if "figures" not in case:
        failed = Run(part, case["fault"], case["on"], None, 0, 0, 0, 0, 0, 0, error=case["error"])
        return failed if case["error"] else None
    new, total = case["figures"][NEW], case["figures"]
    users = [total[name] for name in (LOGIN, SECRETS) if name in total]
    return Run(
        part=part, fault=case["fault"], on=case["on"], blackout_ms=new["blackout_ms"], lost=new["lost"],
        slow=new["slow"], lost_gets=total["GET"]["lost"],
        lost_posts=sum(total[name]["lost"] for name in POSTS if name in total),
        lost_after=total["all"]["recovery"]["lost"], failovers=len(case["failovers"]), error=case["error"],
        late=total["GET"]["late"], lost_decisions=total.get(AUTHORIZATION, {"lost": 0})["lost"],
        unauthorized=total["all"]["statuses"].get("401", 0),
        error_ms=max((each["error_ms"] for each in users), default=0.0),
        restored_ms=max((each["recovery"]["restored_ms"] for each in users), default=0.0),
        settled_ms=case["settled_ms"],
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

    def missing(self, part: str, most: int | None = None) -> list[tuple[str, str, int]]:
        """Fault, node and the number of runs that a part still needs, of at most `most` each."""
        wanted = PARTS[part]
        runs = wanted.runs if most is None else min(wanted.runs, most)
        found = [
            (fault, on, runs - sum(run.key == (part, fault, on) and not run.error for run in self.runs))
            for fault, on in wanted.cases
        ]
        return [each for each in found if each[2] > 0]

    def add(self, runs: Sequence[Run]) -> None:
        self.runs += runs
        write_file(self._file, self._as_json())

    def keep(self) -> None:
        """Store the runs as a git note of the commit with which they began."""
        _git(self._repository, "notes", f"--ref={NOTES}", "add", "-f", "-F", "-", self.commit, text=self._as_json())

    def _as_json(self) -> str:
        fields = Run.__dataclass_fields__
        return json.dumps([{name: getattr(run, name) for name in fields} for run in self.runs], indent=1)


def run_part(name: str, results: Results, most: int | None = None) -> None:
    """Run the missing faults of a part. Each result is saved immediately."""
    part = PARTS[name]
    with tempfile.TemporaryDirectory() as directory, deployed(part, Path(directory)) as bench:
        for _ in range(_ATTEMPTS):
            for fault, on, runs in results.missing(name, most):
                print(f"{name}: {fault} on {on}, {runs} runs", flush=True)
                if fault in PLANNED:
                    results.add([bench.change(name, fault, number) for number in range(runs)])
                else:
                    results.add(bench.drill(name, fault, on, runs))
    results.keep()


def problems(name: str, results: Results, most: int | None = None) -> list[str]:
    """The problems of the results of a part, including those of earlier calls."""
    missing = [f"{name}: {fault} on {on}: {runs} runs are missing" for fault, on, runs in results.missing(name, most)]
    return [*missing, *false_failovers(name, results.runs)]


def false_failovers(name: str, runs: Sequence[Run]) -> list[str]:
    """The runs of a part without a fault in which the virtual IP moved; other goals are only shown in the table."""
    if not name.startswith("fast-quiet"):
        return []
    return [f"{name}: {run.fault}: the virtual IP {seen}" for run in runs if run.part == name and (seen := unmet(run))]


class Bench:
    """A deployed part."""

    def __init__(self, lab: Lab, part: Part, directory: Path) -> None:
        self._lab, self._part, self._directory = lab, part, directory
        self._changes = 0
        self._site = make_site(lab, directory) if part.data == "external" else None
        self._up()

    def _up(self, **nginx: Any) -> None:
        """Deploy the part's profile, with other settings of nginx."""
        file, keepalived = self._directory / "settings.yaml", {"profile": self._part.profile}
        if self._site is not None:
            self._site.settings(file, keepalived=keepalived, nginx=nginx)
        else:
            write_settings(file, keepalived=keepalived, nginx=nginx)
        self._lab.up("--config-file", str(file))

    def drill(self, part: str, fault: str, on: str, runs: int) -> list[Run]:
        """Run a fault. An error is printed, and its run is returned with it."""
        file = self._directory / "drill.json"
        file.unlink(missing_ok=True)
        watch = ["--watch", str(self._part.watch_s)] if self._part.watch_s else []
        options = ["--runs", str(runs), "--repeat", str(self._part.repeat), *watch, "--json", str(file)]
        options += ["--html", str(file.with_suffix(".html")), "--stack", "local"]
        done = self._lab.operator("tandem", "drill", fault, "--on", on, *options, check=False, timeout_s=_DRILL_S)
        if done.returncode != 0:
            print(f"{done.stdout}\n{done.stderr}", flush=True)
        cases = json.loads(file.read_text())["cases"] if file.exists() else []
        return [run for case in cases if (run := read_run(part, case)) is not None]

    def change(self, part: str, what: str, number: int) -> Run:
        """A planned change under the full load. Lost are requests that began outside the drain windows."""
        with under_load(self._lab, self._directory, scale=1) as result:
            if what == "rollout":
                self._changes += 1
                self._up(keepaliveTimeoutS=60 + (self._changes % 10))
            else:
                self._lab.operator("tandem", "replace", f"iam-{'ba'[number % 2]}", "--stack", "local", timeout_s=900)
        windows = drain_windows(self._lab)
        outside = result.outside(windows)
        print(f"  {what}: {result.summary()}", flush=True)
        posts = [name for name in POSTS if name in result.streams()]
        gets = [name for name in result.streams() if name not in posts]
        wait_until(
            lambda: self._lab.operator("tandem", "health", "--stack", "local", check=False).returncode,
            lambda code: code == 0,
            deadline_s=120,
            what="tandem health",
        )
        return Run(
            part, what, "master", round(1000 * result.blackout_s("healthz"), 1), len(outside.lost("healthz")),
            len(result.slow("healthz")), len(outside.lost(*gets)), len(outside.lost(*posts)), 0, len(windows),
        )  # fmt: skip


@contextmanager
def deployed(part: Part, directory: Path) -> Generator[Bench]:
    with new_cloud("benchf") as lab:
        bench = Bench(lab, part, directory)
        lab.localcloud("takeover-delay", str(part.delay_s))
        yield bench


def main(arguments: Sequence[str], *, repository: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.failover", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; default: all that are not complete")
    parser.add_argument("--runs", type=int, help="of each fault; default: those of the part")
    parser.add_argument("--table", action="store_true", help="print the results of this commit and run nothing")
    options = parser.parse_args(arguments)
    if unknown := [part for part in options.part if part not in PARTS]:
        parser.error(f"a part must be one of {', '.join(PARTS)} (got {', '.join(unknown)})")
    results = Results(repository)
    failed: list[str] = []
    if not options.table:
        if changed := _git(repository, "status", "--porcelain"):
            print(f"bench-failover: results belong to a commit: commit or stash first\n{changed}", file=sys.stderr)
            return 2
        for part in options.part or PARTS:
            if results.missing(part, options.runs):
                began = time.monotonic()
                run_part(part, results, options.runs)
                print(f"{part}: {time.monotonic() - began:.0f} s", flush=True)
            failed += problems(part, results, options.runs)
    Console(width=None if sys.stdout.isatty() else 200).print(make_table(results.commit, results.runs))
    print("\n".join(failed))
    return 1 if failed else 0


def _git(repository: Path, *arguments: str, text: str | None = None) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=repository, capture_output=True, text=True, check=True, input=text
    ).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
