"""The operations' access to the node: its files, its commands, its clock, and the agent's state directory."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

from . import web

STATE = "/var/lib/tandem"
CONNECTED = "connected"
OUT_FILE = "/run/tandem/out.json"  # programs/health_daemon/files.py
# The health daemon, not the service, refuses the connections of this node then.
OUT_OF_USE = "taken out of use on this node by the health daemon, whose probes failed"
NOT_FOUND = 127  # the exit code if a program is missing


class Result(NamedTuple):
    code: int
    out: str
    err: str


Runner = Callable[..., Result]


class StepError(Exception):
    """A step failed: its name, the reason, and the output seen."""

    def __init__(self, step: str, message: str, seen: str = "", detail: Any = None) -> None:
        super().__init__(f"{step}: {message}")
        self.step = step
        self.message = message
        self.seen = seen
        self.detail = detail


def run(argv: list[str], *, text: str = "", timeout_s: float = 60, env: dict[str, str] | None = None) -> Result:
    """Run a command. Exit code 127 means that the program is missing, 124 that it exceeded the deadline.

    Bytes of its output that are not UTF-8 are replaced.
    """
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
    try:
        done = subprocess.run(
            argv, input=text.encode(), capture_output=True, timeout=timeout_s, env=environment, check=False
        )
    except FileNotFoundError:
        return Result(NOT_FOUND, "", f"{argv[0]}: not found on this node")
    except subprocess.TimeoutExpired as late:
        err = (late.stderr or b"").decode(errors="replace")
        return Result(124, "", f"{err}\n{argv[0]} was killed: it did not end within {timeout_s:.0f} s")
    return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def program() -> bytes:
    """The archive that this agent was started from."""
    return Path(__file__).parents[1].read_bytes()


def probe(url: str, timeout_s: float = 2) -> str:
    """The status code of a GET request, CONNECTED for a tcp:// URL, or the error."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "tcp":
        try:
            socket.create_connection((parts.hostname or "", parts.port or 0), timeout_s).close()
        except OSError as failed:
            return f"{type(failed).__name__}: {failed}"
        return CONNECTED
    query = f"?{parts.query}" if parts.query else ""
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout_s)
    try:
        connection.request("GET", f"{parts.path or '/'}{query}", headers={"Connection": "close"})
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as failed:
        return f"{type(failed).__name__}: {failed}"
    finally:
        connection.close()


class Node:
    """One node. Tests pass their own `root`, `runner` and so on.

    `token` identifies the rollout that sent the request. `now` is the monotonic clock: a clock that is set while a step
    runs must not change a deadline. `wall_clock` is for dates. `before` is called with the name of each change before
    it is made; `progress` sends a line to the operator while a step still runs.
    """

    def __init__(
        self,
        *,
        root: str = "/",
        runner: Runner = run,
        stdin: IO[bytes] | None = None,
        now: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        before: Callable[[str], None] = lambda _effect: None,
        progress: Callable[[str], None] = lambda _line: None,
        probe: Callable[[str], str] = probe,
        request: Callable[..., web.Response] = web.request,
        sync: Callable[[int], None] = os.fsync,
        program: Callable[[], bytes] = program,
    ) -> None:
        self.root = Path(root)
        self.state = self.at(STATE)
        self.run = runner
        self.stdin = stdin
        self.now = now
        self.wall_clock = wall_clock
        self.sleep = sleep
        self.before = before  # tests interrupt a run here
        self.progress = progress
        self.probe = probe
        self.request = request
        self.sync = sync  # tests with many rollouts skip fsync
        self.program = program
        self.token = ""
        self.unsynced: set[Path] = set()  # directories in which the commit has replaced files
        # Since systemd has read its unit files (systemd.py):
        self.unit_files_changed = False
        self.units_enabled = False

    def at(self, path: str) -> Path:
        """The path below `root` of an absolute path on the node."""
        return self.root / path.lstrip("/")

    def is_healthy(self, gate: dict[str, Any]) -> tuple[bool, str]:
        """Whether the URL of a health gate answers as it must, and what was seen."""
        seen = self.probe(gate["url"])
        healthy = seen == (CONNECTED if gate["url"].startswith("tcp:") else str(gate["status"]))
        server = urllib.parse.urlsplit(gate["url"])
        if not healthy and [server.hostname, server.port] in json.loads(self.read(OUT_FILE) or "[]"):
            return False, OUT_OF_USE
        return healthy, seen

    def uptime_s(self) -> float:
        """Seconds since boot, on the clock of systemd's monotonic timestamps."""
        return float((self.read("/proc/uptime") or "0").split()[0])

    def read(self, path: str) -> str:
        """The text of a file, stripped; "" if it cannot be read. Bytes that are not UTF-8 are replaced."""
        try:
            return self.at(path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def run_checked(self, step: str, argv: list[str], text: str = "", timeout_s: float = 60) -> str:
        """Run a command and return its stdout. Raises StepError if it fails."""
        result = self.run(argv, text=text, timeout_s=timeout_s)
        if result.code:
            raise StepError(step, f"{argv[0]} failed with exit code {result.code}", result.err or result.out)
        return result.out

    def state_path(self, name: str) -> Path:
        return self.state / name

    def make_state(self) -> None:
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read_json(self, name: str, default: Any) -> Any:
        try:
            return json.loads(self.state_path(name).read_text())
        except (FileNotFoundError, ValueError):
            return default

    def write_json(self, name: str, value: Any, *, durable: bool = True) -> None:
        """Replace a file of the state. `durable`: it must survive a power failure."""
        self.make_state()
        target = self.state_path(name)
        new = target.with_name(target.name + ".new")
        with new.open("w") as file:
            json.dump(value, file)
            file.flush()
            if durable:
                self.sync(file.fileno())
        new.replace(target)
        if durable:  # the rename too
            directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self.sync(directory)
            finally:
                os.close(directory)
