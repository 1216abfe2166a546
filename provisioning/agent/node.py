"""The node as the operations see it: its files, its commands, its clock, and what the agent keeps there."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

STATE = "/var/lib/tandem"


class Result(NamedTuple):
    code: int
    out: str
    err: str


Runner = Callable[..., Result]


class StepError(Exception):
    """A step failed: which, why, and what the node said."""

    def __init__(self, step: str, message: str, seen: str = "", detail: Any = None) -> None:
        super().__init__(f"{step}: {message}")
        self.step = step
        self.message = message
        self.seen = seen
        self.detail = detail


def run(argv: list[str], *, text: str = "", timeout_s: float = 60, env: dict[str, str] | None = None) -> Result:
    """Run a command to its end or its deadline. A missing program is code 127, a passed deadline 124."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
    try:
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, timeout=timeout_s, env=environment, check=False
        )
    except FileNotFoundError:
        return Result(127, "", f"{argv[0]}: no such program on this node")
    except subprocess.TimeoutExpired as late:
        said = late.stderr.decode(errors="replace") if isinstance(late.stderr, bytes) else (late.stderr or "")
        return Result(124, "", f"{said}\n{argv[0]} was stopped after {timeout_s:.0f} s without an end")
    return Result(done.returncode, done.stdout, done.stderr)


def probe(url: str, timeout_s: float = 2) -> str:
    """The status of one GET, or why there was none."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout_s)
    try:
        connection.request("GET", parts.path or "/", headers={"Connection": "close"})
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as failed:
        return f"{type(failed).__name__}: {failed}"
    finally:
        connection.close()


class Node:
    """`root`, `runner` and the rest are given so that a test has a node of its own.

    `token` is the rollout's that asks; `before` is called with each effect's name before it happens.
    """

    def __init__(
        self,
        *,
        root: str = "/",
        runner: Runner = run,
        stdin: IO[bytes] | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        before: Callable[[str], None] = lambda _effect: None,
        probe: Callable[[str], str] = probe,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        self.root = Path(root)
        self.state = self.at(STATE)
        self.run = runner
        self.stdin = stdin
        self.now = now
        self.sleep = sleep
        self.before = before  # where a test pulls the plug
        self.probe = probe
        self.sync = sync  # a test of many rollouts on a busy disk has no power to lose
        self.token = ""

    def at(self, path: str) -> Path:
        """A node's absolute path below its root."""
        return self.root / path.lstrip("/")

    def read(self, path: str) -> str:
        """A file's text without the blanks around it; "" where it cannot be read."""
        try:
            return self.at(path).read_text().strip()
        except OSError:
            return ""

    def must(self, step: str, argv: list[str], text: str = "") -> str:
        """What a command printed. Raises StepError when it fails."""
        told = self.run(argv, text=text)
        if told.code:
            raise StepError(step, f"{argv[0]} failed with exit code {told.code}", told.err or told.out)
        return told.out

    def state_path(self, name: str) -> Path:
        return self.state / name

    def make_state(self) -> None:
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read_json(self, name: str, default: Any) -> Any:
        try:
            return json.loads(self.state_path(name).read_text())
        except (FileNotFoundError, ValueError):
            return default

    def write_json(self, name: str, value: Any) -> None:
        self.make_state()
        place = self.state_path(name)
        new = place.with_name(place.name + ".new")
        with new.open("w") as file:
            json.dump(value, file)
            file.flush()
            self.sync(file.fileno())
        new.replace(place)
