"""Starts the load from a test and counts lost and slow requests."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.load.requests import Record

ROOT = Path(__file__).resolve().parents[2]
LOST_S = 2.0  # a correct response must arrive within this time
SLOW_S = 0.25


@dataclass
class Result:
    """What was recorded. `lost` and `blackout_s` are complete after the load has ended."""

    records: list[Record] = field(default_factory=list[Record])

    def lost(self, *streams: str) -> list[Record]:
        """The requests without a correct response within 2 s, of these streams or of all."""
        return [each for each in self._of(streams) if each.status != 200 or each.took > LOST_S]

    def slow(self, *streams: str) -> list[Record]:
        return [each for each in self._of(streams) if each.status == 200 and each.took > SLOW_S]

    def blackout_s(self, *streams: str) -> float:
        """The longest time between two correct responses."""
        times = sorted(each.began + each.took for each in self._of(streams) if each.status == 200)
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=float("inf"))

    def outside(self, windows: Sequence[tuple[float, float]]) -> Result:
        """The requests that began in none of these windows (seconds since the epoch)."""
        return Result([each for each in self.records if not any(a <= each.began <= b for a, b in windows)])

    def summary(self) -> dict[str, str]:
        """Counts by stream, for the messages of assertions."""
        names = sorted({each.stream for each in self.records})
        return {
            name: f"{len(self._of([name]))} sent, {len(self.lost(name))} lost, {len(self.slow(name))} slow,"
            f" blackout {self.blackout_s(name):.2f} s"
            for name in names
        }

    def _of(self, streams: Sequence[str]) -> list[Record]:
        return [each for each in self.records if not streams or each.stream in streams]


@contextmanager
def load(
    client: Callable[..., Sequence[str]], outputs: dict[str, Any], directory: Path, *, scale: float = 0.25,
    admin_password: str = "", site: tuple[str, str] | None = None,
) -> Generator[Result]:  # fmt: skip
    """Send requests while the block runs.

    `client` turns a command into one that runs on a client on the internet side, and `outputs` are the stack's outputs
    with secrets. Without `admin_password`, only one path is requested: healthz of
    the API, or that of `site` (its name in the export `urls`, and the path).
    """
    out = directory / "load.jsonl"
    settings = {
        "address": outputs["public_ip"], "ca_certificate": outputs["ca_certificate"], "out": str(out), "scale": scale,
        "admin_password": admin_password, "path": site[1] if site else "/healthz",
        "api": outputs["urls"][site[0] if site else "api"].removeprefix("https://"),
        "authz": outputs["urls"].get("authz", "").removeprefix("https://"),
    }  # fmt: skip
    result = Result()
    command = client(sys.executable, "-m", "tests.load")
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=os.environ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        ready = process.stdout.readline()
        assert ready == "ready\n", f"the load must start (got {ready!r}, exit code {process.wait()})"
        try:
            yield result
        finally:
            process.stdin.close()  # ends the load
            code = process.wait(timeout=30)
    assert code == 0, f"the load must end without an error (exit code {code})"
    result.records = [Record(**json.loads(line)) for line in out.read_text().splitlines()]
