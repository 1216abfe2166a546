"""Copies of the project for the real engine: with the whole program, or with a little one in its place."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from operations.cli import find_cli
from operations.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
_COMMAND = ("operations", "provisioning", "tools", "Pulumi.yaml")
PROGRAM = ("__main__.py", "stacks", "settings", "components", "samples")


@dataclass
class Run:
    """How one command ended."""

    code: int
    output: str

    def __contains__(self, text: str) -> bool:
        return text in self.output


@dataclass
class Project:
    """A copy of the project in a directory, and a stack of it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    stack: str = "local"

    @classmethod
    def copy(cls, folder: Path, *more: str) -> Self:
        """A project with the `tandem` command and those files."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*_COMMAND, *more):
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(sys.prefix)
        return cls(folder)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder / ".tandem" / "default", self.folder)

    def configure(self, config: dict[str, Any]) -> None:
        """Write the stack's settings."""
        (self.folder / "stacks").mkdir(exist_ok=True)
        (self.folder / "stacks" / f"Pulumi.{self.stack}.yaml").write_text(yaml.safe_dump({"config": config}))

    def start(self, *words: str, terminal: int | None = None) -> subprocess.Popen[str]:
        """`tandem ...` on the stack, in a session of its own, on a terminal or with its output in a pipe."""
        command = [sys.executable, "-m", "operations.main", *words, "--stack", self.stack]
        if terminal is not None:
            return self._start(command, {"PYTHONPATH": str(self.folder), "TERM": "xterm-256color"}, terminal)
        return self._start(command, {"PYTHONPATH": str(self.folder), "NO_COLOR": "1"})

    def run(self, *words: str) -> Run:
        process = self.start(*words)
        output, _ = process.communicate(timeout=300)
        return Run(process.returncode, output)

    def succeed(self, *words: str) -> str:
        run = self.run(*words)
        assert run.code == 0, run.output
        return run.output

    def fail(self, *words: str) -> str:
        run = self.run(*words)
        assert run.code == 1, run.output
        return run.output

    def pulumi(self, *words: str) -> str:
        """Pulumi's own commands, on the same state."""
        environment = self.workspace.prepare_for_pulumi("local")
        cli = str(find_cli(os.environ) / "pulumi")
        process = self._start(
            [cli, "--cwd", str(self.workspace.project), *words, "--non-interactive", "--color", "never"], environment
        )
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        return output

    def state(self) -> dict[str, Any]:
        """The exported state: `resources`, `pending_operations`."""
        return json.loads(self.pulumi("stack", "export", "--stack", "local"))["deployment"]

    def resources(self) -> dict[str, dict[str, Any]]:
        """By name, without the stack and providers."""
        found = self.state().get("resources") or []
        return {one["urn"].rsplit("::", 1)[1]: one for one in found if not one["type"].startswith("pulumi:p")}

    def _start(
        self, command: list[str], environment: dict[str, str], terminal: int | None = None
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=self.folder, text=True, start_new_session=True,
            env={**os.environ, **self.environment, **environment, "LOCALCLOUD_ID": "none"},
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal, stderr=subprocess.STDOUT,
        )  # fmt: skip


def descendants(pid: int) -> Iterator[int]:
    """Processes that were started by that one, or by its children."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            child = int(path.parent.name)
            yield child
            yield from descendants(child)


def kill_all(process: subprocess.Popen[str]) -> None:
    """`kill -9` of tandem, pulumi and its plugins."""
    for pid in (*descendants(process.pid), process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
